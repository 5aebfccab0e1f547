// Regression tests of the page of `rife serve`: pictures under the wrong name, numbers that do not change, files that are
// lost or never deleted, drops outside the box, batches with bad files.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import axe from 'axe-core';
import { card, choose, clip, ffmpeg, finished, folder, serve, shots, site, start, unfold, until, visit } from './support.mjs';

/** Renders a clip that is red for some seconds, then blue. */
function twoColours(name, ...coding) {
  const file = path.join(folder, name);
  const colour = (one) => ['-f', 'lavfi', '-i', `color=${one}:size=96x64:rate=25:duration=0.4`];
  ffmpeg(...colour('red'), ...colour('blue'), '-f', 'lavfi', '-i', 'sine=440:sample_rate=16000:duration=0.8', '-filter_complex', '[0][1]concat', '-shortest', ...coding, file);
  return file;
}

const api = (page, where) => page.evaluate((where) => fetch(`/api/v1${where}`).then((answer) => answer.json()), where);

/** Returns red, green and blue in the middle of a picture. */
const middle = (picture) => picture.evaluate((image) => {
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  const pen = canvas.getContext('2d');
  pen.drawImage(image, 0, 0);
  return [...pen.getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data].slice(0, 3);
});

/** Drops files and folders at a position of the page with the browser's own events. */
async function drop(page, part, ...files) {
  const box = await part.boundingBox();
  const session = await page.context().newCDPSession(page);
  const data = { items: [], files, dragOperationsMask: 1 };
  for (const type of ['dragEnter', 'dragOver', 'drop']) {
    await session.send('Input.dispatchDragEvent', { type, x: box.x + box.width / 2, y: box.y + box.height / 2, data });
  }
  await session.detach();
}

const rows = (page) => page.getByRole('tabpanel').locator('.inputs .name');

test('a source that the browser cannot decode is drawn by the server, and no picture has another one\'s name', async (t) => {
  const page = await visit(t);
  const sources = [
    twoColours('hevc.mp4', '-c:v', 'libx265', '-x265-params', 'log-level=error', '-pix_fmt', 'yuv420p', '-tag:v', 'hvc1'),
    twoColours('asp.mp4', '-c:v', 'mpeg4'),
    twoColours('asp.avi', '-c:v', 'mpeg4'),
    twoColours('prores.mov', '-c:v', 'prores_ks', '-pix_fmt', 'yuv422p10le'),
  ];
  await choose(page, 'video', ...sources);
  await page.getByRole('button', { name: 'Start 4 jobs' }).click();
  for (const source of sources) {
    const name = path.basename(source);
    const done = page.locator('article.job[data-state="done"]', { hasText: name });
    await done.waitFor({ timeout: 120_000 });
    await unfold(page, await done.getAttribute('data-id'));
    await done.getByRole('button', { name: 'Before and after' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText(/^Your browser cannot play: Before\b/).waitFor();
    assert.equal(await dialog.locator('video').count(), 0, name);
    const before = dialog.locator('img.before');
    await until('the source is drawn', () => before.evaluate((image) => image.naturalWidth > 0));
    assert.match(await before.getAttribute('src'), /\/inputs\/0\/frames\/at\?/);
    assert.match(await dialog.locator('img.after').getAttribute('src'), /\/files\/result\.\w+\/frames\/at\?/);
    assert.ok((await middle(before))[0] > 150, `${name}: not red at its start`);
    await dialog.getByLabel('Position').last().fill('0.75');
    await until('it is blue at three quarters', async () => (await middle(before))[2] > 150);
    const at = (await before.getAttribute('src')).match(/time_s=([\d.]+)/)[1];
    await dialog.getByRole('button', { name: 'One frame forward' }).click();
    await until('a frame later', async () => Number((await before.getAttribute('src')).match(/time_s=([\d.]+)/)[1]) > Number(at));
    await dialog.getByRole('button', { name: 'Play' }).click();
    await dialog.getByRole('button', { name: 'Pause' }).click();
    if (name === 'hevc.mp4') await page.screenshot({ path: path.join(shots, 'compare-stills.png') });
    await page.keyboard.press('Escape');
  }
});

test('the plan of a slow motion says how long it becomes', async (t) => {
  const page = await visit(t);
  await choose(page, 'video', clip('slow.mp4', 0.6));
  await page.getByLabel('Factor').fill('4');
  await page.getByLabel('Slow motion').check();
  await page.getByText('0.6 s → 2.4 s').waitFor();
  // An empty field is not sent as a number.
  await page.getByLabel('Factor').fill('');
  await page.getByText('Enter a factor from 1 to 256.').waitFor();
  assert.ok(await page.getByRole('button', { name: 'Start', exact: true }).isDisabled());
  await page.getByRole('radio', { name: 'Target rate' }).check();
  await page.getByRole('textbox', { name: 'Frames per second', exact: true }).fill('');
  await page.getByText('Enter a rate, such as 50').waitFor();
  assert.ok(await page.getByRole('button', { name: 'Start', exact: true }).isDisabled());
});

test('numbers in the queue move, and a deletion is undone', async (t) => {
  const page = await visit(t);
  // Long enough to be running while the others queue.
  await choose(page, 'video', clip('first.mp4', 40, '640x352'));
  const running = await start(page);
  await finished(page, running, 'running');
  await choose(page, 'chain', clip('link1.mp4', 0.2), clip('link2.mp4', 0.2));
  const [second, third] = [await start(page), await start(page, 'Run again')];
  await card(page, third).getByText('Position 2 in the queue').waitFor();
  await card(page, second).getByRole('button', { name: 'Cancel' }).click();
  await card(page, third).getByText('Position 1 in the queue').waitFor();
  await card(page, second).getByRole('button', { name: 'Delete' }).click();
  await card(page, second).getByText('link1.mp4 was deleted.').waitFor();
  await page.keyboard.press('Enter');
  await finished(page, second, 'cancelled');
  await card(page, running).getByRole('button', { name: 'Cancel' }).click();
  await finished(page, third);
  // Leaving the page carries out the deletion.
  await card(page, second).getByRole('button', { name: 'Delete' }).click();
  await page.reload();
  await card(page, third).waitFor();
  await until('it is gone', async () => (await api(page, `/jobs/${second}`)).error?.code === 'not_found');
});

test('an upload that a reload cut off goes on, and one that is taken out is off the server', async (t) => {
  const page = await visit(t);
  page.on('dialog', (dialog) => dialog.accept());
  const file = clip('reload.mp4', 0.4);
  fs.appendFileSync(file, Buffer.alloc(24_000_000));
  await page.route('**/uploads/*', async (route) => {
    await new Promise((resolve) => setTimeout(resolve, 300));
    await route.continue();
  });
  const bar = page.getByRole('tabpanel').locator('.inputs progress');
  await choose(page, 'video', file);
  await until('some of it is there', async () => (await bar.count()) > 0 && (await bar.evaluate((one) => one.value)) > 0.1);
  await page.reload();
  await page.getByText(/The page was closed at [1-9]\d*%/).waitFor();
  const { items: [left] } = await api(page, '/uploads?limit=1');
  assert.equal(left.state, 'receiving');
  await page.getByLabel('Clips to interpolate').setInputFiles(file);
  await page.getByText('10 → 20').waitFor();
  const { items: [there] } = await api(page, '/uploads?limit=1');
  assert.deepEqual([there.id, there.state, there.received], [left.id, 'complete', fs.statSync(file).size]);
  await page.getByRole('button', { name: 'Remove reload.mp4' }).click();
  await until('it is off the server', async () => (await api(page, `/uploads/${left.id}`)).error?.code === 'not_found');
  // Also while the upload is in progress.
  await page.getByLabel('Clips to interpolate').setInputFiles(file);
  await until('some of it is there', async () => (await bar.count()) > 0 && (await bar.evaluate((one) => one.value)) > 0.1);
  await page.getByRole('button', { name: 'Remove reload.mp4' }).click();
  await until('nothing of it is left', async () => !(await api(page, '/uploads?limit=5')).items.some(({ name }) => name === 'reload.mp4'));
});

test('files and folders are dropped anywhere', async (t) => {
  const page = await visit(t);
  const found = path.join(folder, 'holiday');
  fs.mkdirSync(path.join(found, 'day 2'), { recursive: true });
  for (const name of ['clip10.mp4', 'clip9.mp4', 'day 2/clip1.mp4']) fs.copyFileSync(clip('dropped.mp4', 0.3), path.join(found, name));
  fs.writeFileSync(path.join(found, 'notes.txt'), 'no video');
  fs.writeFileSync(path.join(found, '.hidden'), '');
  fs.mkdirSync(path.join(folder, 'nothing'), { recursive: true });
  await drop(page, page.locator('.tagline'), path.join(folder, 'dropped.mp4'));
  await until('it is in the list', async () => (await rows(page).allTextContents()).join() === 'dropped.mp4');
  await drop(page, page.locator('.drop:visible'), found);
  await until('all are in the list', async () => (await rows(page).allTextContents()).join() === 'dropped.mp4,clip9.mp4,clip10.mp4,clip1.mp4');
  await page.getByText('1 file of another type was skipped.').waitFor();
  await drop(page, page.locator('h1'), path.join(folder, 'nothing'));
  await page.getByText('It contains no clip.').waitFor();
  assert.equal(page.url(), `${site.address}/#video`);
  // A tab for a single file uploads only the first.
  await page.getByRole('tab', { name: 'Re-encode', exact: true }).click();
  await drop(page, page.locator('#jobs-title'), path.join(found, 'clip9.mp4'), path.join(found, 'clip10.mp4'));
  await page.getByText('clip9.mp4 of 2 files is used').waitFor();
  assert.deepEqual(await rows(page).allTextContents(), ['clip9.mp4']);
});

test('bad files of a batch are marked and not started', async (t) => {
  const page = await visit(t);
  const [text, still, one] = ['text.mp4', 'still.png', 'one.mp4'].map((name) => path.join(folder, name));
  fs.writeFileSync(text, 'no video');
  ffmpeg('-f', 'lavfi', '-i', 'testsrc2=size=96x64', '-frames:v', '1', still);
  ffmpeg('-f', 'lavfi', '-i', 'testsrc2=size=96x64', '-frames:v', '1', '-pix_fmt', 'yuv420p', one);
  await choose(page, 'video', clip('good.mp4', 0.4), text, still, one);
  await page.getByText('3 of 4 files cannot be used and will be skipped.').waitFor();
  assert.equal(await page.locator('.inputs li.bad').count(), 3);
  assert.equal(await page.locator('.inputs li.bad').getByText('A single picture').count(), 2);
  await page.getByText('160×96 · 25 fps · 0.4 s · audio').waitFor();
  const before = await page.locator('article.job').count();
  const id = await start(page);
  await finished(page, id);
  assert.equal(await page.locator('article.job').count(), before + 1);
  await card(page, id).getByRole('heading', { name: 'good.mp4' }).waitFor();
  // In a chain, one unusable file blocks the job.
  await choose(page, 'chain', clip('good.mp4', 0.4), text);
  await page.getByText('1 of 2 files cannot be used: remove or replace it first.').waitFor();
  assert.ok(await page.getByRole('tabpanel').getByRole('button', { name: 'Start' }).isDisabled());
});

test('a batch is planned as a whole, with the size of files where a result of the clip tells it', async (t) => {
  const page = await visit(t);
  const [one, two] = [clip('batch1.mp4', 0.4), clip('batch2.mp4', 0.8)];
  await choose(page, 'video', one, two);
  await page.getByText(/2 jobs in total: about [\d.]+ s, for 1\.2 s of video\. Memory up to [\d.]+ MB\.$/).waitFor();
  await page.getByRole('button', { name: 'Start 2 jobs' }).click();
  const done = (name) => page.locator('article.job[data-state="done"]', { hasText: name }).first();
  for (const name of ['batch1.mp4', 'batch2.mp4']) await done(name).waitFor();
  await page.reload();
  await page.getByText(/Files of about [\d.]+ kB\.$/).waitFor();
  await page.getByRole('button', { name: 'Remove batch2.mp4' }).click();
  const shown = await page.locator('.plan div', { hasText: 'File size' }).locator('dd').textContent();
  const { items } = await api(page, '/jobs?limit=2');
  const { bytes } = items.find(({ label }) => label === 'batch1.mp4').files[0];
  assert.ok(Math.abs(Number.parseFloat(shown.slice(2)) * 1000 - bytes) < 0.02 * bytes, `${shown} of ${bytes}`);
});

test('only codecs that the file type holds are offered, and doubtful rates are told', async (t) => {
  const page = await visit(t);
  await choose(page, 'video', clip('types.mp4', 0.4));
  const panel = page.getByRole('tabpanel');
  await panel.getByText('More options').click();
  const codecs = () => panel.getByLabel('Codec').locator('option').evaluateAll((all) => all.map((one) => one.value).join());
  // The list is fitted when the server's models and containers are loaded.
  await until('each source has its own', async () => (await codecs()) === '');
  await panel.getByLabel('File type').selectOption('mp4');
  await until('those of mp4', async () => (await codecs()) === ',h264,h265,av1,vp9');
  await panel.getByLabel('Codec').selectOption('h265');
  await panel.getByLabel('File type').selectOption('webm');
  await until('those of webm', async () => (await codecs()) === ',av1,vp9');
  assert.equal(await panel.getByLabel('Codec').inputValue(), '');
  await panel.getByLabel('File type').selectOption('gif');
  await until('that of gif', async () => (await codecs()) === ',gif');
  await panel.getByLabel('File type').selectOption('mp4');
  await panel.getByLabel('Factor').fill('1');
  await page.getByText('factor 1 makes no new frame').first().waitFor();
  // Such a job is started by a button of its own only.
  const go = panel.getByRole('button', { name: 'Start', exact: true });
  await panel.getByRole('button', { name: 'Start anyway' }).waitFor();
  assert.ok(await go.isDisabled());
  await panel.getByRole('radio', { name: 'Target rate' }).check();
  await panel.getByRole('textbox', { name: 'Frames per second', exact: true }).fill('20');
  await page.getByText('20 frames a second are fewer than the source\'s 25').first().waitFor();
  assert.ok(await go.isDisabled());
  // Also at once, before it is planned.
  const rate = panel.getByRole('textbox', { name: 'Frames per second', exact: true });
  await rate.fill('25');
  await go.click();
  await page.getByText('the source has 25 frames a second already').first().waitFor();
  await until('nothing was started', async () => await go.isDisabled());
  assert.equal(await page.locator('article.job', { hasText: 'types.mp4' }).count(), 0);
  // In a batch those are left out.
  const fast = path.join(folder, 'fast.mp4');
  ffmpeg('-i', path.join(folder, 'types.mp4'), '-vf', 'setpts=PTS/2', '-r', '50', fast);
  await rate.fill('40');
  await choose(page, 'video', fast);
  await page.getByText('1 file does not get more frames, and is skipped.').waitFor();
  await until('only one is started', async () => await go.isEnabled());
});

test('nothing is wider than a phone, with everything on the page', async (t) => {
  const page = await visit(t, { viewport: { width: 390, height: 844 } });
  const long = path.join(folder, `${'a_very_long_name_without_any_space_'.repeat(3)}.mp4`);
  fs.copyFileSync(clip('narrow.mp4', 0.4), long);
  const still = path.join(folder, 'wide.png');
  ffmpeg('-f', 'lavfi', '-i', 'testsrc2=size=640x360', '-frames:v', '1', still);
  const files = { frames: [long], images: [still, still], chain: [long, long], video: [long, path.join(folder, 'text.mp4')], reencode: [long] };
  for (const [tab, some] of Object.entries(files)) {
    await choose(page, tab, ...some);
    if (tab !== 'frames') await page.getByRole('tabpanel').locator('.plan, table').first().waitFor();
    for (const more of await page.getByRole('tabpanel').locator('summary').all()) await more.click();
    await page.screenshot({ path: path.join(shots, `full-${tab}-390.png`), fullPage: true });
    const wide = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(wide[0] <= wide[1], `${tab}: ${wide[0]} of ${wide[1]}`);
  }
});

test('the API is told to people, with a job in curl, and there is a way out of a session', async (t) => {
  const page = await visit(t, { viewport: { width: 390, height: 844 }, bypassCSP: true });
  assert.ok(await page.getByRole('button', { name: 'Log out' }).isHidden());
  await page.getByRole('link', { name: 'API' }).click();
  await page.getByRole('cell', { name: '/jobs/{id}/inputs/{index}/frames/at', exact: true }).waitFor();
  await page.getByText(/curl -s --data-binary @clip\.mp4/).waitFor();
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes[0].html}`), []);
  const guarded = await serve(0, 'left', '--token', 'open-sesame-0123456789');
  t.after(() => guarded.child.kill());
  await page.goto(guarded.found);
  await page.getByLabel('Token').fill('open-sesame-0123456789');
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Log out' }).click();
  await page.getByLabel('Token').waitFor();
  assert.equal((await api(page, '/jobs')).error.code, 'unauthorized');
});
