// Tests of the page of `rife serve` as an editor's tool: a part of a clip, its preview, versions compared, and what the cards of
// jobs say and do. One clip and its jobs serve all of them.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import axe from 'axe-core';
import { added, card, choose, clicks, clip, download, finished, folder, ids, more, probe, program, root, shots, start, twoShots, until, visit } from './support.mjs';

const api = (page, where) => page.evaluate((where) => fetch(`/api/v1${where}`).then((answer) => answer.json()), where);

/** Fails on every finding of axe. */
async function accessible(page, what) {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes[0].html}`), [], what);
}

const field = (page, name) => page.locator(`#video-${name}`).inputValue();
const video = (page, side) => page.locator(`dialog .layer.${side} video`);
const frame = async (page) => Number((await page.locator('dialog .clock').textContent()).match(/frame (\d+)/)[1]);

test('a part on the filmstrip, its preview in two clicks, and the comparison', async (t) => {
  const page = await visit(t, { bypassCSP: true });
  await choose(page, 'video', clip('scene.mp4', 4));
  const part = page.getByRole('region', { name: 'Part of the clip' });
  await part.waitFor();
  await until('the filmstrip is drawn', async () => (await part.locator('.pictures > *').count()) === 10);
  const [from, to] = ['Start of the part', 'End of the part'].map((name) => part.getByRole('slider', { name }));
  await from.focus();
  await page.keyboard.press('Shift+ArrowRight');
  await page.keyboard.press('ArrowRight');
  assert.equal(await field(page, 'start'), '1.04');
  // The other end is dragged to half of the strip.
  const [strip, handle] = [await part.locator('.strip').boundingBox(), await to.boundingBox()];
  await page.mouse.move(handle.x + handle.width / 2, handle.y + handle.height / 2);
  await page.mouse.down();
  await page.mouse.move(strip.x + strip.width / 2, strip.y + 10, { steps: 4 });
  await page.mouse.up();
  assert.equal(await field(page, 'end'), '2');
  await page.getByText('Part from 1.040 to 2.000 s').waitFor();
  await page.getByText('24 → 48').waitFor();
  await accessible(page, 'with a clip');
  await page.screenshot({ path: path.join(shots, 'part.png'), fullPage: true });
  // Handles cannot cross.
  await to.focus();
  await page.keyboard.press('Home');
  assert.equal(await field(page, 'end'), '1.12');
  await part.getByRole('button', { name: 'Whole clip' }).click();
  assert.deepEqual([await field(page, 'start'), await field(page, 'end')], ['', '']);
  // The shown frame is the start of the preview: the first click. It is the part's earliest for three seconds of four.
  const count = await clicks(page);
  await page.mouse.click(strip.x + strip.width / 8, strip.y + strip.height / 2);
  await page.getByRole('button', { name: 'Preview 3 s here' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.waitFor({ timeout: 120_000 });
  assert.ok(await count() <= 2, String(await count()));
  // The keys act at once, not on a button.
  await dialog.getByRole('button', { name: 'Pause' }).waitFor();
  await page.keyboard.press(' ');
  await dialog.getByRole('button', { name: 'Play' }).waitFor();
  await page.keyboard.press(' ');
  const { items: [job] } = await api(page, '/jobs?limit=1');
  assert.equal(Number(job.options.end) - Number(job.options.start), 3);
  assert.ok(Math.abs(job.options.start - 0.48) < 0.05, String(job.options.start));
  assert.deepEqual([job.summary.frames_in, job.summary.frames_out], [75, 150]);
  await dialog.getByRole('button', { name: 'Pause' }).click();
  // Source and result show the same moment.
  await until('both stand at one moment', async () => {
    const [left, right] = [await video(page, 'left').evaluate((one) => one.currentTime), await video(page, 'right').evaluate((one) => one.currentTime)];
    return Math.abs(left - right - job.options.start) < 0.01;
  });
  await dialog.getByLabel('Position').fill('0.5');
  await dialog.getByRole('slider', { name: 'Divider' }).focus();
  await dialog.getByRole('button', { name: 'Flip' }).focus();
  await until('it is sought', async () => Math.abs((await frame(page)) - 75) <= 1);
  const at = await frame(page);
  await page.keyboard.press('ArrowRight');
  await until('a frame later', async () => (await frame(page)) === at + 1);
  await page.keyboard.press('ArrowLeft');
  await page.keyboard.press('ArrowLeft');
  await until('two frames back', async () => (await frame(page)) === at - 1);
  await dialog.getByLabel('Speed').selectOption('0.25');
  assert.equal(await video(page, 'right').evaluate((one) => one.playbackRate), 0.25);
  await dialog.getByLabel('Loop').uncheck();
  assert.equal(await video(page, 'right').evaluate((one) => one.loop), false);
  await dialog.getByLabel('Sound').check();
  assert.equal(await video(page, 'right').evaluate((one) => one.muted), false);
  // The keys act on the picture again after a click on a control, and on the picture.
  const forward = dialog.getByRole('button', { name: 'One frame forward' });
  const place = (await forward.boundingBox()).x;
  await page.keyboard.press(' ');
  await dialog.getByRole('button', { name: 'Pause' }).waitFor();
  assert.equal((await forward.boundingBox()).x, place);
  await dialog.getByLabel('View').selectOption('side');
  await dialog.getByLabel('View').focus();
  await dialog.locator('.stage').click({ position: { x: 30, y: 90 } });
  await page.keyboard.press(' ');
  await dialog.getByRole('button', { name: 'Play' }).waitFor();
  for (const [view, x] of [['side', 30], ['split', 60]]) {
    await dialog.getByLabel('View').selectOption(view);
    await dialog.locator('.stage').click({ position: { x, y: 90 } });
    const now = await frame(page);
    await page.keyboard.press('ArrowLeft');
    await until('a frame back', async () => (await frame(page)) === now - 1);
  }
  await dialog.getByText('Space: play · ← →: frame').waitFor();
  // Space plays, from the divider too.
  await dialog.getByRole('slider', { name: 'Divider' }).focus();
  await page.keyboard.press(' ');
  await dialog.getByRole('button', { name: 'Pause' }).click();
  await dialog.getByLabel('View').selectOption('side');
  const boxes = await Promise.all(['left', 'right'].map((side) => video(page, side).boundingBox()));
  assert.ok(boxes[0].x + boxes[0].width <= boxes[1].x + 1, 'side by side');
  await page.screenshot({ path: path.join(shots, 'compare-side.png') });
  await dialog.getByLabel('View').selectOption('difference');
  assert.equal(await page.locator('dialog .layer.left').evaluate((layer) => getComputedStyle(layer).mixBlendMode), 'difference');
  await dialog.getByLabel('View').selectOption('split');
  // A pixel of the clip covers four of the screen, and the picture is moved by dragging.
  await dialog.getByLabel('Zoom').selectOption('400');
  await until('it is enlarged', async () => {
    const { width } = await video(page, 'right').boundingBox();
    const [natural, height, box] = await video(page, 'right').evaluate((one) => [one.videoWidth, one.videoHeight, [one.clientWidth, one.clientHeight]]);
    return Math.abs(width / box[0] * Math.min(box[0], box[1] * natural / height) - 4 * natural) < 2;
  });
  // In a narrow window it is larger than its place.
  await page.setViewportSize({ width: 480, height: 900 });
  const move = () => page.locator('dialog .stage').evaluate((one) => one.style.getPropertyValue('--move'));
  await until('it can be moved', () => page.locator('dialog .stage.enlarged').isVisible());
  const still = await move();
  const box = await page.locator('dialog .stage').boundingBox();
  await page.mouse.move(box.x + box.width / 4, box.y + box.height / 2);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width / 4 + 40, box.y + box.height / 2, { steps: 4 });
  await page.mouse.up();
  assert.notEqual(await move(), still);
  await page.setViewportSize({ width: 1280, height: 900 });
  await page.keyboard.press('f');
  await until('it fills the screen', () => page.evaluate(() => Boolean(document.fullscreenElement?.matches('.viewer'))));
  await page.keyboard.press('f');
  await until('it does not', () => page.evaluate(() => document.fullscreenElement === null));
  await dialog.getByLabel('Zoom').selectOption('fit');
  await accessible(page, 'comparison');
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'detached' });
  // A preview is no result among others.
  await page.getByLabel('Search by name').fill('scene');
  await card(page, job.id).getByText(/^Preview/).waitFor();
  assert.ok(await page.getByRole('button', { name: 'Download all' }).isDisabled());
});

test('cards say what was asked, and a job is changed and run again', async (t) => {
  const page = await visit(t, { bypassCSP: true });
  await choose(page, 'video', clip('cards.mp4', 0.4));
  await page.getByLabel('Factor').fill('3');
  await page.getByRole('tabpanel').getByLabel('File type').selectOption('mkv');
  // The card of a new job is in sight while the form is scrolled.
  await page.getByText('10 → 30').waitFor();
  await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
  const first = await start(page);
  await until('its card is in sight', () => card(page, first).evaluate((one) => one.getBoundingClientRect().top >= 0 && one.getBoundingClientRect().top < innerHeight - 40));
  assert.equal(await page.getByText(/^Jobs before it in the queue/).isVisible(), false);
  await finished(page, first);
  await page.getByText('Done already; change an option to create another job.').waitFor();
  const settings = (id) => card(page, id).getByRole('list', { name: 'Settings' }).locator('li').allTextContents();
  assert.deepEqual((await settings(first)).toSorted(), ['Factor: 3', 'File type: mkv']);
  await card(page, first).getByText(/30 frames · \d+ interpolated · cpu/).waitFor();
  assert.equal(probe(await download(page, first, 'cards.mkv'), 'r_frame_rate,nb_read_frames'), '75/1,30');
  // The options of a job come back, in a fresh form.
  await page.getByRole('button', { name: 'Defaults' }).click();
  assert.equal(await field(page, 'factor'), '2');
  await more(page, first);
  await card(page, first).getByRole('button', { name: 'Change and run again' }).click();
  await page.getByRole('button', { name: 'Double' }).and(page.locator('[aria-pressed="false"]')).waitFor();
  assert.deepEqual([await field(page, 'factor'), await field(page, 'ext')], ['3', 'mkv']);
  await page.getByRole('tabpanel').getByText('More options').click();
  await page.getByRole('tabpanel').getByLabel('Start of the part').and(page.getByRole('textbox')).fill('9');
  await page.getByText(/the start is 9 s, outside the accepted before the clip's end/).waitFor();
  assert.equal(await page.locator('#video-start').getAttribute('aria-invalid'), 'true');
  await page.getByRole('tabpanel').getByLabel('Start of the part').and(page.getByRole('textbox')).fill('0.2 s');
  await page.getByText(/a position is seconds such as 62.5/).waitFor();
  await page.getByRole('tabpanel').getByLabel('Start of the part').and(page.getByRole('textbox')).fill('5f');
  const second = await start(page);
  await finished(page, second);
  assert.ok((await settings(second)).includes('Part of the clip: 5f – …'));
  await card(page, second).getByText('cards_f5-end_3X_75fps.mkv').first().waitFor();
  // Two results of the clip and its source are versions of it.
  await card(page, second).getByRole('button', { name: 'Before and after' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Left').waitFor();
  assert.deepEqual(await dialog.getByLabel('Left').locator('option').allTextContents(), ['Source', 'cards_f5-end_3X_75fps.mkv', 'cards_3X_75fps.mkv']);
  await dialog.getByLabel('Left').selectOption('cards_3X_75fps.mkv');
  await dialog.locator('.tag.left', { hasText: 'cards_3X_75fps.mkv' }).waitFor();
  await dialog.locator('.stage:not([aria-busy])').waitFor();
  await page.keyboard.press('Escape');
  // What is under "More options" is shown when it comes back.
  await page.getByRole('tabpanel').getByText('More options').click();
  await page.locator('#video-start').waitFor({ state: 'hidden' });
  await more(page, second);
  await card(page, second).getByRole('button', { name: 'Change and run again' }).click();
  await page.locator('#video-start').waitFor();
  // Filters.
  const freed = () => page.getByText(/“Clear finished” frees about/).textContent();
  const all = await freed();
  await page.getByLabel('Search by name').fill('no such job');
  await page.getByText('No job matches.').waitFor();
  await page.getByLabel('Search by name').fill('f5-end');
  assert.notEqual(await freed(), all);
  assert.deepEqual([await card(page, first).isVisible(), await card(page, second).isVisible()], [false, true]);
  await page.getByLabel('Show', { exact: true }).selectOption('failed');
  assert.equal(await card(page, second).isVisible(), false);
  await page.getByLabel('Show', { exact: true }).selectOption('done');
  const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Download all' }).click()]);
  assert.equal(file.suggestedFilename(), 'cards_f5-end_3X_75fps.mkv');
  await accessible(page, 'jobs');
  // Only what is shown is cleared, and it can be undone.
  await page.getByRole('button', { name: 'Clear finished' }).click();
  await card(page, second).getByRole('button', { name: 'Undo' }).click();
  await card(page, second).getByRole('button', { name: 'More' }).waitFor();
  await page.getByLabel('Search by name').fill('');
  assert.ok(await card(page, first).getByRole('button', { name: 'cards_3X_75fps.mkv', expanded: false }).isVisible());
  // Several are undone together.
  await page.getByLabel('Search by name').fill('cards');
  await page.getByRole('button', { name: 'Clear finished' }).click();
  await page.getByText('2 jobs were deleted.').first().waitFor();
  assert.equal(await card(page, first).isVisible(), false);
  await accessible(page, 'cleared jobs');
  await page.getByRole('button', { name: 'Undo all' }).click();
  for (const id of [first, second]) await until('it is back', () => card(page, id).isVisible());
  assert.equal(await page.getByRole('button', { name: 'Undo' }).count(), 0);
});

test('the queue is paused, ordered by keys and by dragging, and goes on; all results come as one archive', async (t) => {
  const page = await visit(t, { bypassCSP: true });
  const put = (body) => page.evaluate((body) => fetch('/api/v1/queue', { method: 'PUT', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }).then((answer) => answer.json()), body);
  await put({ paused: true });
  const bar = page.getByRole('region', { name: 'Queue' });
  await bar.getByText('paused').waitFor();
  await choose(page, 'video', clip('queue1.mp4', 0.2), clip('queue2.mp4', 0.2), clip('queue3.mp4', 0.2));
  await page.getByRole('button', { name: 'Start 3 jobs' }).click();
  const queued = page.locator('article.job[data-state="queued"]');
  await queued.nth(2).waitFor();
  const names = () => queued.locator('h3').allTextContents();
  await until('they are in their order', async () => (await names()).join() === 'queue1.mp4,queue2.mp4,queue3.mp4');
  await bar.getByText('0 of 3 jobs done · paused').waitFor();
  await page.getByRole('button', { name: 'Move queue3.mp4 up' }).focus();
  await page.keyboard.press('Enter');
  await until('it is second', async () => (await names()).join() === 'queue1.mp4,queue3.mp4,queue2.mp4');
  // The button keeps the focus.
  await until('it has the focus', () => page.evaluate(() => document.activeElement?.getAttribute('aria-label') === 'Move queue3.mp4 up'));
  // Both are in sight: the page does not scroll while the card is dragged.
  for (const n of [2, 0]) await queued.nth(n).scrollIntoViewIfNeeded();
  await queued.nth(2).dragTo(queued.nth(0));
  await until('it is first', async () => (await names()).join() === 'queue2.mp4,queue1.mp4,queue3.mp4');
  await accessible(page, 'a paused queue');
  await page.screenshot({ path: path.join(shots, 'queue.png'), fullPage: true });
  const wanted = await queued.evaluateAll((all) => all.map((one) => one.dataset.id));
  await page.reload();
  await until('the order stays', async () => (await names()).join() === 'queue2.mp4,queue1.mp4,queue3.mp4');
  await bar.getByRole('button', { name: 'Resume queue' }).click();
  for (const id of wanted) await finished(page, id);
  const started = await Promise.all(wanted.map(async (id) => (await api(page, `/jobs/${id}`)).started_at));
  assert.deepEqual(started, started.toSorted());
  await until('the bar is gone', async () => !(await bar.isVisible()));
  await page.getByText(/of .* used, .* free on the disk/).waitFor();
  await page.getByLabel('Search by name').fill('queue');
  const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Download all' }).click()]);
  assert.equal(file.suggestedFilename(), 'rife.zip');
  const archive = path.join(folder, 'all.zip');
  await file.saveAs(archive);
  const listed = execFileSync('python3', ['-m', 'zipfile', '-l', archive]).toString();
  assert.deepEqual([...listed.matchAll(/queue\d_2X_50fps\.mp4/g)].map(String).toSorted(), [1, 2, 3].map((n) => `queue${n}_2X_50fps.mp4`));
  execFileSync('python3', ['-m', 'zipfile', '-e', archive, path.join(folder, 'all')]);
  assert.equal(probe(path.join(folder, 'all/queue2_2X_50fps.mp4'), 'nb_read_frames'), '10');
});

test('cuts and repeated frames on the filmstrip, changed cuts, quality, and a verified result', async (t) => {
  const page = await visit(t, { bypassCSP: true });
  let release = () => {};
  const held = new Promise((resolve) => { release = resolve; });
  await page.route('**/analysis', async (route) => {
    await held;
    await route.continue();
  });
  await choose(page, 'video', twoShots('shots.mp4'));
  const part = page.getByRole('region', { name: 'Part of the clip' });
  // A cut that is added while the server looks for others is kept.
  await part.getByText('Looking for cuts…', { exact: true }).waitFor();
  await part.locator('.strip').click({ position: { x: 300, y: 12 } });
  await part.getByRole('button', { name: 'Add a cut here' }).click();
  const early = await field(page, 'cut_list');
  release();
  await part.getByText(/^2 cuts · /).waitFor();
  assert.deepEqual((await field(page, 'cut_list')).split(', ').toSorted(), [early, '25'].toSorted());
  await part.getByRole('button', { name: 'Detected cuts' }).click();
  await part.getByText(/1 cut · repeated frames from .* on twos/).waitFor();
  const ticks = part.locator('.tickmark');
  assert.equal(await ticks.count(), 1);
  const [strip, tick, shade] = await Promise.all([part.locator('.strip'), ticks.first(), part.locator('.shade').first()].map((one) => one.boundingBox()));
  assert.ok(Math.abs(tick.x + tick.width / 2 - strip.x - strip.width / 2.6) < 3, 'the cut is at one second of 2.6');
  assert.ok(shade.x >= tick.x, 'only the second shot is shaded');
  // A click shows the cut's frame; the button removes the cut, and adds another one.
  await ticks.first().click();
  await part.getByText('1.020 s · frame 26 of 65').waitFor();
  await part.getByRole('button', { name: 'Remove this cut' }).click();
  assert.deepEqual([await field(page, 'cut_list'), await field(page, 'cut_threshold')], ['', '0']);
  for (const box of [0.2, 0.7]) {
    await part.locator('.strip').click({ position: { x: strip.width * box, y: 12 } });
    await part.getByRole('button', { name: 'Add a cut here' }).click();
  }
  const cuts = (await field(page, 'cut_list')).split(', ').map(Number);
  assert.ok(cuts.length === 2 && Math.abs(cuts[0] - 13) <= 1 && Math.abs(cuts[1] - 45) <= 1, String(cuts));
  await accessible(page, 'cuts');
  await page.screenshot({ path: path.join(shots, 'cuts.png'), fullPage: true });
  // They count from the part's start.
  const [from] = ['Start of the part'].map((name) => part.getByRole('slider', { name }));
  await from.focus();
  await page.keyboard.press('Shift+ArrowRight');
  assert.equal(await field(page, 'cut_list'), String(cuts[1] - 25));
  await page.keyboard.press('Home');
  assert.equal(await field(page, 'cut_list'), cuts.join(', '));
  await page.getByText('65 → 130').waitFor();
  const id = await start(page);
  await finished(page, id);
  assert.equal((await api(page, `/jobs/${id}`)).summary.cuts, 2);
  await part.getByRole('button', { name: 'Detected cuts' }).click();
  assert.deepEqual([await field(page, 'cut_list'), await field(page, 'cut_threshold'), await ticks.count()], ['', '0.4', 1]);
  // The result is verified against its manifest.
  await more(page, id);
  await card(page, id).getByRole('button', { name: 'Verify' }).click();
  await card(page, id).getByText('✓ Verified').click();
  await card(page, id).getByText('✓ number of frames').waitFor();
  await card(page, id).getByText('✓ content (SHA-256)').waitFor();
  // Quality of the clip.
  const before = await ids(page);
  await page.getByRole('tabpanel').getByRole('button', { name: 'Check quality' }).click();
  const report = await added(page, before);
  await finished(page, report);
  await card(page, report).getByText(/^Network [\d.]+ dB, blending [\d.]+ dB; better than blending in \d+ of \d+ frames$/).waitFor();
  await card(page, report).getByRole('button', { name: 'Show quality' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('img', { name: /^PSNR over time/ }).waitFor();
  await until('the worst frames are shown', () => dialog.locator('.trio img').evaluateAll((all) => all.length >= 6 && all.every((one) => one.complete && one.naturalWidth > 0)));
  await accessible(page, 'quality');
  await page.screenshot({ path: path.join(shots, 'quality.png') });
  // A fallback is offered by the measurements.
  const frames = [[0.1, 20, 26], [0.2, 22, 24], [0.8, 40, 30]].map(([confidence, network, blend]) => ({ confidence, network: { psnr: network }, blend: { psnr: blend } }));
  const best = await page.evaluate((frames) => import('/quality.js').then((one) => one.bestThreshold(frames, 'blend')), frames);
  assert.ok(best.below > 0.2 && best.below < 0.8 && Math.abs(best.gain - 8 / 3) < 1e-9, JSON.stringify(best));
  assert.equal(await page.evaluate((frames) => import('/quality.js').then((one) => one.bestThreshold(frames, 'blend')), frames.slice(2)), null);
  await dialog.getByRole('button', { name: 'Close' }).click();
});

test('own presets are saved, come back, and are files for the command line', async (t) => {
  const page = await visit(t, { bypassCSP: true });
  const source = clip('preset.mp4', 0.4);
  await choose(page, 'video', source);
  await page.getByLabel('Factor').fill('3');
  await page.getByRole('tabpanel').getByLabel('File type').selectOption('mkv');
  await page.getByText('Own presets').click();
  await page.getByLabel('Name of the preset').fill('Three <b>times');
  await page.keyboard.press('Enter');
  const own = page.getByRole('list', { name: 'Own presets' });
  await own.getByRole('button', { name: 'Three <b>times', exact: true }).waitFor();
  await page.getByRole('button', { name: 'Double' }).click();
  assert.equal(await field(page, 'factor'), '2');
  await page.reload();
  await page.getByText('Own presets').click();
  await own.getByRole('button', { name: 'Three <b>times', exact: true }).click();
  assert.deepEqual([await field(page, 'factor'), await field(page, 'ext')], ['3', 'mkv']);
  // The chosen one is marked until a value is changed.
  const pressed = () => own.getByRole('button', { name: 'Three <b>times', exact: true }).getAttribute('aria-pressed');
  assert.equal(await pressed(), 'true');
  await page.getByLabel('Factor').fill('4');
  assert.equal(await pressed(), 'false');
  await page.getByLabel('Factor').fill('3');
  assert.equal(await own.getByText('Export', { exact: true }).count(), 1);
  // A deletion can be undone.
  await own.getByRole('button', { name: /^Delete preset/ }).click();
  await page.getByRole('button', { name: 'Undo' }).click();
  await own.getByRole('button', { name: 'Three <b>times', exact: true }).waitFor();
  await accessible(page, 'presets');
  const [file] = await Promise.all([page.waitForEvent('download'), own.getByRole('button', { name: /^Export/ }).click()]);
  const saved = path.join(folder, 'three.rife.json');
  await file.saveAs(saved);
  const out = path.join(folder, 'preset-out');
  execFileSync(program, ['video', source, '--preset-file', saved, '-o', `${out}.mkv`]);
  assert.equal(probe(`${out}.mkv`, 'r_frame_rate,nb_read_frames'), '75/1,30');
  // Options of the command line come first.
  execFileSync(program, ['video', source, `--preset-file=${saved}`, '--fps', '50', '-o', `${out}2.mkv`]);
  assert.equal(probe(`${out}2.mkv`, 'r_frame_rate,nb_read_frames'), '50/1,20');
  await own.getByRole('button', { name: /^Delete preset/ }).click();
  await until('it is gone', async () => !(await own.isVisible()));
  const [chooser] = await Promise.all([page.waitForEvent('filechooser'), page.getByRole('button', { name: 'Import' }).click()]);
  await chooser.setFiles(saved);
  await own.getByRole('button', { name: 'Three <b>times', exact: true }).waitFor();
  const { items } = await api(page, '/presets');
  assert.deepEqual(items.map(({ name, kind, options }) => [name, kind, options]), [['Three <b>times', 'video', { factor: 3, ext: 'mkv' }]]);
});

test('no text of the page is a literal in its code', () => {
  const web = path.join(root, 'crates/rife-server/web');
  const found = [];
  for (const name of fs.readdirSync(web).filter((one) => one.endsWith('.js') && one !== 'text.js')) {
    const code = fs.readFileSync(path.join(web, name), 'utf8').replace(/^\s*(\/\/|\*|\/\*\*).*$/gm, '').replace(/\/\*\*.*?\*\//g, '');
    // Children of elements and texts of properties: words with a space or a capital letter.
    const literals = [...code.matchAll(/(?:, |textContent = |label': |title: |placeholder: |alt: )'([A-Z][a-z]+[^']*|[a-z]+ [a-z][^']*)'/g)];
    found.push(...literals.map((match) => `${name}: ${match[1]}`));
  }
  const known = /: (Arrow\w+|Home|End|Content-\w+|application\/|Notification|GET|Escape|frames at|plain |card |hint |field |tag |stage |row )/;
  assert.deepEqual(found.filter((one) => !known.test(one)), []);
});
