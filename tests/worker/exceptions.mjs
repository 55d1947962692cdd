// Cases that end otherwise in workerd, and why. Whatever is not listed has to end as the corpus says,
// and what is listed has to differ.

const DIFFERENT = [
  {
    why: "workerd has resolved dot segments, dropped control characters and encoded what has to be before the Worker sees a path; what goes upstream is the same path",
    cases: [
      "cors/preflight-ambiguous-path",
      "domains/segment-dots",
      "paths/ambiguous-in-open-policy",
      "paths/ambiguous-with-identity",
      "paths/control-raw-tab",
      "paths/dots-current",
      "paths/dots-current-at-end",
      "paths/dots-current-first",
      "paths/dots-parent",
      "paths/dots-parent-at-end",
      "paths/dots-parent-first",
      "paths/dots-query-behind",
      "paths/plain-brackets",
      "paths/plain-raw-unicode",
      "paths/shut-asterisk",
      "paths/shut-authority-form",
      "paths/shut-empty",
      "paths/shut-query-only",
      "paths/shut-without-slash",
      "paths/slashes-absolute",
      "rules/prefix-encoded-raw",
      "rules/prefix-everything-not-asterisk",
      "rules/prefix-everything-not-empty",
    ],
  },
  {
    why: "workerd answers 400, 500 or 501 itself to a method or target that it does not know",
    cases: [
      "answers/problem-method_ambiguous",
      "cors/not-lower-case",
      "rules/methods-m-search",
      "paths/method-FROBNICATE",
      "paths/method-M-SEARCH",
      "paths/method-VERSION-CONTROL",
      "paths/method-ambiguous-comma",
      "paths/method-ambiguous-digit",
      "paths/method-ambiguous-dot",
      "paths/method-ambiguous-empty",
      "paths/method-ambiguous-long-s",
      "paths/method-ambiguous-lower-case",
      "paths/method-ambiguous-lower-case-post",
      "paths/method-ambiguous-mixed-case",
      "paths/method-ambiguous-space-behind",
      "paths/method-ambiguous-two",
      "paths/method-ambiguous-underscore",
      "paths/method-ambiguous-unicode",
      "rules/connect-authority",
      "rules/connect-without-not-connect",
    ],
  },
  {
    why: "workerd answers 400 or 500 itself to a host that makes no URL",
    cases: [
      "domains/host-unknown-empty",
      "domains/host-unknown-percent",
      "domains/host-unknown-user-information",
    ],
  },
  {
    why: "workerd has no routes of Envoy",
    cases: [
      "requirements/route-disabled",
      "requirements/route-disabled-guarded",
      "requirements/route-disabled-spoofed",
      "requirements/route-named",
      "requirements/route-named-before-rules",
      "requirements/route-named-none",
      "requirements/route-named-optional",
      "requirements/route-named-stricter",
      "requirements/route-unknown-Staff",
      "requirements/route-unknown-__proto__",
      "requirements/route-unknown-empty",
      "requirements/route-unknown-unknown",
    ],
  },
  {
    why: "workerd has no filter state of Envoy",
    cases: [
      "requirements/by-state-anyone",
      "requirements/by-state-empty",
      "requirements/by-state-partner",
      "requirements/by-state-partner-crossed",
      "requirements/by-state-staff",
      "requirements/by-state-staff-none",
    ],
  },
  {
    why: "workerd joins repeated fields by commas before the Worker sees them",
    cases: [
      "places/cookie-split-fields",
      "places/several-empty-first",
      "rules/header-exact-joined-two-values",
    ],
  },
];

/** Why this case ends otherwise, if it does. */
export function exceptions({ id }) {
  return DIFFERENT.find(({ cases }) => cases.includes(id))?.why;
}
