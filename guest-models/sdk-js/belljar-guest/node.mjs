// What the host gives, for tests in node: `node --import ./sdk/belljar-guest/node.mjs --test`. Assets
// are those in the folder `assets` where node is started; the log goes to stderr.

import { register } from "node:module";

const ASSETS = `
  import { readFileSync, readdirSync, statSync } from "node:fs";
  import { join } from "node:path";
  const file = (name) => join(process.cwd(), "assets", name);
  const isFile = (name) => statSync(file(name), { throwIfNoEntry: false })?.isFile();
  export const list = () =>
    readdirSync(file(""), { recursive: true }).filter((name) => isFile(name) && !name.startsWith(".")).sort();
  export const size = (name) => (isFile(name) ? BigInt(statSync(file(name)).size) : undefined);
  export const read = (name, offset, length) => {
    if (!isFile(name)) return undefined;
    const most = Math.min(Number(length), 16 << 20);
    return new Uint8Array(readFileSync(file(name))).slice(Number(offset), Number(offset) + most);
  };
`;
const LOG = `export const write = (level, message) => console.error(level + ": " + message);`;
const HOST = { "belljar:model/assets@0.1.0": ASSETS, "belljar:model/log@0.1.0": LOG };

const HOOKS = `
  const HOST = ${JSON.stringify(HOST)};
  export async function resolve(specifier, context, next) {
    return specifier in HOST ? { url: specifier, shortCircuit: true } : next(specifier, context);
  }
  export async function load(url, context, next) {
    return url in HOST ? { format: "module", source: HOST[url], shortCircuit: true } : next(url, context);
  }
`;

register(`data:text/javascript,${encodeURIComponent(HOOKS)}`);
