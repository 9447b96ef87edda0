// Makes one C++ source of a folder of files: each compressed and named, for app/io/assets.h.
//   node embed.mjs FOLDER OUTPUT
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { extname, join, relative } from 'node:path';
import { gzipSync } from 'node:zlib';

const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.json': 'application/json',
  '.woff2': 'font/woff2',
};

// What a browser has to fetch before it shows anything; the budget keeps the first paint quick.
const TOTAL_MAX = 500 * 1000;

const [folder, output] = process.argv.slice(2);
const files = readdirSync(folder, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
  .sort();

let total = 0;
const arrays = [];
const entries = [];
for (const [index, file] of files.entries()) {
  const content = readFileSync(file);
  const type = TYPES[extname(file)];
  if (!type) throw new Error(`no content type for ${file}`);
  // Level 9 without a time stamp: equal input gives equal output.
  const gzip = gzipSync(content, { level: 9 });
  total += gzip.length;
  const etag = createHash('sha256').update(content).digest('hex').slice(0, 16);
  const path = '/' + relative(folder, file).split('\\').join('/');
  arrays.push(`constexpr std::uint8_t kFile${index}[] = {${[...gzip].join(',')}};`);
  entries.push(`    {"${path}", "${type}", "\\"${etag}\\"", kFile${index}},`);
}
if (total > TOTAL_MAX) throw new Error(`the UI is ${total} bytes compressed (at most ${TOTAL_MAX})`);

writeFileSync(
  output,
  `// Made by ui-static/embed.mjs.
#include "app/io/assets.h"

namespace weft::app {
namespace {
${arrays.join('\n')}
constexpr Asset kAssets[] = {
${entries.join('\n')}
};
}  // namespace

std::span<const Asset> assets() { return kAssets; }

}  // namespace weft::app
`,
);
console.log(`UI: ${files.length} files, ${total} bytes compressed`);
