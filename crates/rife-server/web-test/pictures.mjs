// Makes the pictures of docs/page.md from the project's sample clip: `npm run pictures`.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { added, card, choose, ffmpeg, finished, folder, ids, program, root, start, unfold, until, visit } from './support.mjs';

const to = path.join(root, 'docs/page');

/** Saves a picture of a locator or page, as a small WebP file. */
async function save(part, name) {
  const full = path.join(folder, `${name}.png`);
  await part.screenshot({ path: full });
  fs.mkdirSync(to, { recursive: true });
  ffmpeg('-i', full, '-vf', 'scale=min(iw\\,1100):-2', '-c:v', 'libwebp', '-quality', '80', path.join(to, `${name}.webp`));
}

test('pictures of the page', async (t) => {
  const page = await visit(t, { viewport: { width: 1280, height: 1800 } });
  const clip = path.join(folder, 'sample.mp4');
  execFileSync(program, ['sample', path.join(folder, 'whole.mp4')]);
  ffmpeg('-i', path.join(folder, 'whole.mp4'), '-t', '1.4', '-vf', 'scale=320:-2', clip);
  await choose(page, 'video', clip);
  await page.locator('.plan dd').first().waitFor();
  await until('the filmstrip is drawn', async () => (await page.locator('.pictures > *').count()) === 10);
  await page.waitForTimeout(1500);
  await save(page, 'video');
  const first = await start(page);
  await finished(page, first);
  const before = await ids(page);
  await page.getByRole('tabpanel').getByRole('button', { name: 'Check quality' }).click();
  const report = await added(page, before);
  await finished(page, report);
  await unfold(page, first);
  await card(page, first).getByRole('button', { name: 'Before and after' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Pause' }).click();
  await page.getByRole('dialog').getByLabel('Position').fill('0.4');
  await page.waitForTimeout(500);
  await save(page.getByRole('dialog'), 'compare');
  await page.keyboard.press('Escape');
  await unfold(page, report);
  await card(page, report).getByRole('button', { name: 'Show quality' }).click();
  await page.waitForTimeout(500);
  await save(page.getByRole('dialog'), 'quality');
  await page.keyboard.press('Escape');
  // A running job, and two that wait.
  for (const factor of ['64', '3', '4']) {
    await page.getByLabel('Factor').fill(factor);
    await start(page);
  }
  await page.locator('article.job[data-state="running"] .preview:visible').waitFor();
  await page.waitForTimeout(1000);
  await save(page.locator('aside'), 'jobs');
});
