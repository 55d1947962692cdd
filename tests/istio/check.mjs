// Holds Istio's resources to the schemas of their definitions.
//
//   node check.mjs FOLDER     FOLDER holds `node_modules`; resources as JSON lines on standard input
//
// Prints one line of JSON for each: a list of what is wrong with it.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [folder] = process.argv.slice(2);
const models = join(folder, "node_modules/@kubernetes-models/istio");

// The definitions name their members and do not forbid others; the API server would drop those
// without a word, or refuse them, as it is asked to. So whatever a validator has never looked at
// is unknown. Where it has looked at nothing at all, anything may stand (`pluginConfig`).
function watched(value, path, seen) {
  if (typeof value !== "object" || value === null) return value;
  const looked = new Set();
  const members = new Map();
  seen.push({ value, path, looked });
  return new Proxy(value, {
    get(target, name) {
      if (typeof name === "symbol") return target[name];
      looked.add(name);
      if (!Object.hasOwn(target, name)) return target[name];
      if (!members.has(name)) members.set(name, watched(target[name], `${path}.${name}`, seen));
      return members.get(name);
    },
    has(target, name) {
      looked.add(name);
      return name in target;
    },
  });
}

function unknown({ value, path, looked }) {
  if (Array.isArray(value) || looked.size === 0) return [];
  const names = Object.keys(value).filter((name) => !looked.has(name));
  return names.map((name) => `${path}.${name}: unknown member`);
}

async function check(resource) {
  const [group, version] = (resource.apiVersion ?? "").split("/");
  const module = pathToFileURL(join(models, group, version ?? "", `${resource.kind}.js`));
  const kinds = await import(module).catch(() => ({}));
  const Kind = kinds[resource.kind];
  if (!Kind) return [`no ${resource.kind} of ${resource.apiVersion} is known`];
  const seen = [];
  try {
    // On the resource itself: a model would be a copy of it, member by member.
    Kind.prototype.validate.call(watched(resource, resource.kind, seen));
  } catch (error) {
    return [`${resource.kind}: ${error.message}`];
  }
  return seen.flatMap(unknown);
}

for (const line of readFileSync(0, "utf8").split("\n").filter(Boolean)) {
  console.log(JSON.stringify(await check(JSON.parse(line))));
}
