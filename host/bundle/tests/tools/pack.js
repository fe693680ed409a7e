// Packs the present folder: node pack.js WRITER OUT
'use strict';
const fs = require('fs');
const path = require('path');
const [writer, out] = process.argv.slice(2);

const files = (folder = '.') =>
  fs.readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const name = path.posix.join(folder, entry.name);
    return entry.isDirectory() ? files(name) : [name];
  });

const archive = (options) => {
  const pack = require('archiver')('tar', options);
  pack.pipe(fs.createWriteStream(out));
  pack.directory('.', false);
  return pack.finalize();
};

const writers = {
  tar: () => require('tar').create({ file: out, sync: true }, fs.readdirSync('.')),
  'tar-dot': () => require('tar').create({ file: out, sync: true }, ['.']),
  'tar-portable': () => require('tar').create({ file: out, sync: true, portable: true }, ['.']),
  'tar-strict': () => require('tar').create({ file: out, sync: true, strict: true }, ['.']),
  'tar-gzip': () => require('tar').create({ file: out, sync: true, gzip: true }, ['.']),
  'tar-prefix-times': () =>
    require('tar').create({ file: out, sync: true, noMtime: true }, ['.']),
  'tar-fs': () => require('tar-fs').pack('.').pipe(fs.createWriteStream(out)),
  'tar-stream': () => {
    const pack = require('tar-stream').pack();
    pack.pipe(fs.createWriteStream(out));
    for (const name of files()) pack.entry({ name }, fs.readFileSync(name));
    pack.finalize();
  },
  archiver: () => archive({}),
  'archiver-gzip': () => archive({ gzip: true }),
};
writers[writer]();
