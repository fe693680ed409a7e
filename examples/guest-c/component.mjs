// Makes a component of a core module: node component.mjs CORE.wasm WIT-FOLDER WORLD OUT.wasm
//
// `jco embed` and `jco new` would do it, but where a folder has several worlds `jco embed` does not
// look at its --world-name.
import { readFile, writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { componentEmbed, componentNew, preview1AdapterReactorPath } from "@bytecodealliance/jco";

const [core, wit, world, out] = process.argv.slice(2);
const typed = await componentEmbed({ binary: await readFile(core), witPath: resolve(wit), world });
// For what the C library asks of the system: printf, clocks. Left out where nothing does.
const adapter = await readFile(preview1AdapterReactorPath());
await writeFile(out, await componentNew(typed, [["wasi_snapshot_preview1", adapter]]));
