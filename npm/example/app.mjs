// Logs in at Postern's issuer, verifies each token in this page, and refreshes it before it ends.
// The token is in `session`, in memory, and nowhere else.

import { createVerifier, DenialError } from "/postern/browser.mjs";

const ISSUER = "http://127.0.0.1:8080";
const ANSWER_LIMIT_MS = 15_000;
const REFRESH_AHEAD_S = 30;
const RETRY_S = 5;
const CLOCK_SKEW_S = 5;
const LOG_LENGTH = 6;

/** What a denial's code means to people. The codes are stable; these words are this page's. */
const WORDS = {
  signature_invalid: "The signature does not fit the rest: the token is not as the issuer signed it.",
  token_expired: "Its time is over. Whoever guards an API by it turns it away from now on.",
  token_not_yet_valid: "Its time has not come yet. Does this device's clock go wrong?",
  issuer_unknown: "Another issuer made it than the one above. Is the issuer's URL spelled as it serves it?",
  audience_mismatch: "It is meant for somebody else than this domain.",
  key_unknown: "The issuer does not publish the key that it was signed with.",
  keys_unavailable: "The issuer's public keys cannot be fetched, so nobody can tell yet.",
};

const element = (id) => document.getElementById(id);
const seconds = () => Date.now() / 1000;

/** What the user is told, and in `brief` where there is less room. `ended`: the session is over. */
class Trouble extends Error {
  brief = this.message;
  ended = false;
}

/** The one session of this page: its token, what checks it, and what became of that. */
let session;

// ---- The issuer

async function ask(issuer, path, options) {
  const signal = AbortSignal.timeout(ANSWER_LIMIT_MS);
  const request = { cache: "no-store", credentials: "omit", signal, ...options };
  try {
    return await fetch(issuer + path, request);
  } catch {
    // A browser does not say which of the two it was.
    const words = `No answer from ${issuer}. Does it run, with --allow-origin ${location.origin}?`;
    throw Object.assign(new Trouble(words), { brief: "The issuer does not answer." });
  }
}

async function tokenOf(response) {
  const body = await response.json().catch(() => ({}));
  if (response.ok && typeof body.token === "string") {
    return body.token;
  }
  throw refusal(response, body);
}

function refusal(response, body) {
  if (response.status === 429 || response.status === 503) {
    const wait = Number(response.headers.get("retry-after")) || RETRY_S;
    const why = response.status === 429 ? "Too many attempts" : "The issuer is busy";
    return new Trouble(`${why}. Try again in ${duration(wait)}.`);
  }
  if (response.status === 401) {
    return Object.assign(new Trouble("The session is over. Sign in again."), { ended: true });
  }
  const wrong = {
    "Invalid domain": "The issuer has no such domain.",
    "Invalid username or password": "User name or password is wrong.",
  };
  return new Trouble(wrong[body.message] ?? `The issuer refuses: ${body.message ?? response.status}.`);
}

async function logIn({ issuer, domain, username, password }) {
  const response = await ask(issuer, "/login", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ domain, username, password }),
  });
  const token = await tokenOf(response);
  const verifier = await createVerifier({
    issuer: `${issuer}/${domain}`,
    audience: domain,
    clockSkewSeconds: CLOCK_SKEW_S,
  });
  return { issuer, verifier, token, count: 1, tampered: false };
}

const bearer = (token) => ({ headers: { authorization: `Bearer ${token}` } });

/** Trades the token for its successor. One at a time: a token is good for one refresh. */
async function refresh(automatic) {
  const mine = session;
  if (mine.refreshing) {
    return;
  }
  mine.refreshing = true;
  element("refresh").disabled = true;
  try {
    const token = await tokenOf(await ask(mine.issuer, "/refresh", bearer(mine.token)));
    if (mine === session) {
      Object.assign(mine, { token, count: mine.count + 1, tampered: false, trouble: undefined });
      await adopt(`${automatic ? "Refreshed by itself" : "Refreshed"}: token ${mine.count}`);
      celebrate();
    }
  } catch (error) {
    if (mine === session) {
      failRefresh(error);
    }
  } finally {
    mine.refreshing = false;
    element("refresh").disabled = false;
  }
}

function failRefresh(error) {
  if (!(error instanceof Trouble)) {
    throw error;
  }
  if (error.ended) {
    return leave(error.message);
  }
  if (session.trouble !== error.brief) {
    note("No refresh so far");
  }
  Object.assign(session, { trouble: error.brief, refreshAt: seconds() + RETRY_S });
  tick();
}

async function logOut() {
  const { issuer, token } = session;
  leave("You are logged out.", true);
  try {
    const response = await ask(issuer, "/logout", { method: "POST", ...bearer(token) });
    if (!response.ok && response.status !== 401) {
      throw new Trouble(`The issuer answered ${response.status}.`);
    }
  } catch {
    tell("This page has forgotten the token, but the issuer did not hear of it: the session lives on.");
  }
}

// ---- Verifying

/** Takes a fresh token: shows what it says, and then whether that is true. */
async function adopt(event) {
  Object.assign(session, unverified(session.token));
  const { exp, iat } = session.claims;
  // Not at once, even where this device's clock is far ahead of the issuer's.
  const ahead = Math.min(REFRESH_AHEAD_S, (exp - iat) / 5);
  session.refreshAt = Math.max(exp - ahead, seconds() + RETRY_S);
  note(event);
  showClaims(session);
  drain(exp, exp - iat);
  tick();
  await verify(session.token);
}

/** Asks Postern, and shows what it says. */
async function verify(token) {
  const mine = session;
  const start = performance.now();
  let verdict;
  mine.checking = true;
  try {
    const { claims, header } = await mine.verifier.verify(token);
    verdict = { claims, header, took: performance.now() - start };
  } catch (error) {
    if (mine === session && !(error instanceof DenialError)) {
      throw error;
    }
    verdict = { code: error.code, words: WORDS[error.code] ?? error.message };
  }
  if (mine === session) {
    Object.assign(mine, { checking: false, checkedAt: seconds(), code: verdict.code });
    showVerdict(verdict, token);
  }
}

/** What a token says, whether or not that is true. */
function unverified(token) {
  const [header, claims] = token.split(".").slice(0, 2).map((part) => {
    const binary = atob(part.replaceAll("-", "+").replaceAll("_", "/"));
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(binary, (c) => c.charCodeAt(0))));
  });
  return { header, claims };
}

/** The token with another character in the middle of its signature, and where that is. */
function forge(token) {
  const at = token.lastIndexOf(".") + 5;
  return token.slice(0, at) + (token[at] === "A" ? "B" : "A") + token.slice(at + 1);
}

async function tamper() {
  session.tampered = !session.tampered;
  await verify(session.tampered ? forge(session.token) : session.token);
  note(session.tampered ? "One character changed: refused" : "Put right again");
}

// ---- Time

function tick() {
  if (!session?.claims) {
    return;
  }
  const now = seconds();
  const left = session.claims.exp - now;
  showTime(left, now);
  if (element("automatic").checked && now >= session.refreshAt) {
    settle(refresh(true));
  } else if (!session.tampered && !session.checking && isDueForCheck(left, now)) {
    settle(verify(session.token));
  }
}

/** A verdict changes by itself when the token expires, or when keys come. */
function isDueForCheck(left, now) {
  const waits = session.code === "keys_unavailable" && now - session.checkedAt >= RETRY_S;
  return waits || (left <= 0 && session.code !== "token_expired" && now - session.checkedAt >= 1);
}

function duration(count) {
  const whole = Math.max(0, Math.round(count));
  const [minutes, rest] = [Math.floor(whole / 60), whole % 60];
  const words = [minutes && plural(minutes, "minute"), (rest || !minutes) && plural(rest, "second")];
  return words.filter(Boolean).join(" ");
}

const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

function digits(count) {
  const whole = Math.max(0, Math.ceil(count));
  const pad = (number) => String(number).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return `${hours ? `${hours}:${pad(minutes)}` : minutes}:${pad(whole % 60)}`;
}

const CLOCK = new Intl.DateTimeFormat("en", { timeStyle: "medium", hourCycle: "h23" });
const clock = (time) => CLOCK.format(time * 1000);

// ---- The page

function put(id, text) {
  // The same text again would be read aloud again.
  if (element(id).textContent !== text) {
    element(id).textContent = text;
  }
}

function showChecking() {
  element("verdict").dataset.state = "checking";
  put("verdict-title", "Checking…");
  put("verdict-words", "The issuer's public keys are on their way.");
  ["verdict-code", "verdict-how"].forEach((id) => put(id, ""));
  showToken(session.token);
}

function showVerdict({ code, words, header, took }, token) {
  element("verdict").dataset.state = code ? "refused" : "accepted";
  put("verdict-title", code ? "Refused" : "Verified");
  put("verdict-words", words ?? "The issuer signed it, nobody has changed it, and its time is now.");
  put("verdict-code", code ?? "");
  put("verdict-how", code ? "" : `${header.alg}, checked here in ${took.toFixed(1)} ms`);
  element("tamper").setAttribute("aria-pressed", String(session.tampered));
  put("tamper", session.tampered ? "Put it right again" : "Tamper with it");
  showToken(token);
}

/** The beginnings of the three parts: to look at, not to take away. */
function showToken(token) {
  const parts = [...element("token").children];
  token.split(".").forEach((part, index) => {
    parts[index].textContent = `${part.slice(0, 9)}…`;
  });
  if (session.tampered) {
    const mark = document.createElement("mark");
    const [before, changed, after] = [token.split(".")[2].slice(0, 4), forgedCharacter(token), "…"];
    mark.textContent = changed;
    parts[2].replaceChildren(before, mark, token.split(".")[2].slice(5, 9) + after);
  }
}

const forgedCharacter = (token) => token[token.lastIndexOf(".") + 5];

function showClaims({ claims, header }) {
  put("who", claims.username ?? claims.sub);
  put("iss", claims.iss);
  put("aud", [claims.aud].flat().join(", "));
  put("iat", clock(claims.iat));
  put("exp", `${clock(claims.exp)}, ${duration(claims.exp - claims.iat)} later`);
  // What buys the next token is not for eyes.
  const shown = { ...claims, refresh_token: "(not shown)" };
  put("json", JSON.stringify({ header, claims: shown }, null, 2));
}

function showTime(left, now) {
  const state = left <= 0 ? "over" : now >= session.refreshAt ? "soon" : "good";
  element("life").dataset.state = state;
  put("countdown", digits(left));
  const bar = element("bar");
  const share = Math.max(0, Math.min(1, left / (session.claims.exp - session.claims.iat)));
  bar.setAttribute("aria-valuenow", String(Math.round(share * 100)));
  bar.setAttribute("aria-valuetext", left > 0 ? `${duration(left)} left` : "expired");
  put("next", whatIsNext(now));
}

function whatIsNext(now) {
  const automatic = element("automatic").checked;
  if (session.trouble) {
    return automatic ? `${session.trouble} Trying again.` : session.trouble;
  }
  if (!automatic) {
    return "Nobody refreshes it. An expired token can still be refreshed while the session lives.";
  }
  const ahead = duration(session.claims.exp - session.refreshAt);
  return now < session.refreshAt
    ? `The next token comes at ${clock(session.refreshAt)}, ${ahead} before this one expires.`
    : "Fetching the next token…";
}

/** Lets the bar run out as the token does. */
function drain(expiration, lifetime) {
  const left = Math.max(0, expiration - seconds());
  const bar = element("bar").firstElementChild;
  bar.getAnimations().forEach((animation) => animation.cancel());
  const frames = [{ transform: `scaleX(${left / lifetime})` }, { transform: "scaleX(0)" }];
  bar.animate(frames, { duration: left * 1000, fill: "forwards" });
}

function celebrate() {
  const card = element("life");
  card.classList.remove("renewed");
  void card.offsetWidth; // so that the animation begins again
  card.classList.add("renewed");
}

function note(text) {
  const [item, time, words] = ["li", "time", "span"].map((name) => document.createElement(name));
  time.textContent = clock(seconds());
  words.textContent = text;
  item.append(time, words);
  element("log").prepend(item);
  [...element("log").children].slice(LOG_LENGTH).forEach((old) => old.remove());
}

function tell(text, calm = false) {
  element("trouble").classList.toggle("calm", calm);
  put("trouble", text);
}

function show(signedIn) {
  element("signed-in").hidden = !signedIn;
  element("signed-out").hidden = signedIn;
  element("log-out").hidden = !signedIn;
}

/** Forgets the session. */
function leave(text, calm = false) {
  session?.verifier.close();
  session = undefined;
  element("log").replaceChildren();
  show(false);
  tell(text, calm);
  element("password").focus();
}

/** Nothing fails unseen. */
function settle(promise) {
  promise.catch((error) => {
    console.error(error);
    leave("Something went wrong in this page; its console says what.");
  });
}

// ---- What the user does

/** What the form says, or nothing, and then it tells what is missing. */
function filledIn(form) {
  const fields = [...form.elements].filter((field) => field.name);
  const isWrong = (field) => !field.checkValidity() || (field.name === "issuer" && !issuerOf(field));
  fields.forEach((field) => field.setAttribute("aria-invalid", String(isWrong(field))));
  const wrong = fields.find(isWrong);
  if (wrong) {
    const name = form.querySelector(`label[for="${wrong.id}"]`).textContent.toLowerCase();
    tell(wrong.value ? `That ${name} is none: it begins with http:// or https://.` : `The ${name} is missing.`);
    wrong.focus();
    return undefined;
  }
  return { ...Object.fromEntries(new FormData(form)), issuer: issuerOf(form.elements.issuer) };
}

function issuerOf({ value }) {
  const url = value.trim().replace(/\/+$/, "");
  return URL.canParse(url) && /^https?:\/\//.test(url) ? url : undefined;
}

async function signIn(event) {
  event.preventDefault();
  const credentials = filledIn(event.target);
  if (!credentials) {
    return;
  }
  tell("");
  element("submit").disabled = true;
  try {
    session = await logIn(credentials);
    element("password").value = "";
    showChecking();
    show(true);
    element("verdict-title").focus();
    await adopt(`Signed in as ${credentials.username}`);
  } catch (error) {
    if (!(error instanceof Trouble)) {
      throw error;
    }
    tell(error.message);
    element("password").focus();
  } finally {
    element("submit").disabled = false;
  }
}

const asked = new URLSearchParams(location.search);
// A link must not choose who is told the password: only an issuer on this machine can be named in it.
const named = asked.get("issuer") ?? "";
const isHere = /^http:\/\/(127\.0\.0\.1|localhost)(:\d+)?$/.test(named);
element("issuer").value = isHere ? named : ISSUER;
element("domain").value = asked.get("domain") ?? "";
element("sign-in").addEventListener("submit", (event) => settle(signIn(event)));
element("log-out").addEventListener("click", () => settle(logOut()));
element("refresh").addEventListener("click", () => settle(refresh(false)));
element("tamper").addEventListener("click", () => settle(tamper()));
element("automatic").addEventListener("change", tick);
document.addEventListener("visibilitychange", tick);
setInterval(tick, 250);
element("submit").disabled = false;
