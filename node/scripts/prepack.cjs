'use strict';
// `npm pack` packs the addon with the package; without it, the package would be of no use.
const fs = require('node:fs');
const path = require('node:path');

const addon = path.join(__dirname, '..', 'prebuilt', `${process.platform}-${process.arch}`, 'ferry.node');
if (!fs.existsSync(addon)) {
  console.error(`${addon} is missing: please run ./dev build node first`);
  process.exit(1);
}
