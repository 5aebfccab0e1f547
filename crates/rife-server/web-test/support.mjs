// Test fixtures: a server, a browser, clips, and user actions on the page of `rife serve`.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before } from 'node:test';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
export const program = process.env.RIFE ?? path.join(root, 'target/debug/rife');
export const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rife-web-'));
export const shots = path.join(root, 'target/page');
export const TAB = { frames: 'Select frames', images: 'Between images', chain: 'Chain', video: 'Video', reencode: 'Re-encode' };
export const CHOOSE = { frames: 'Clip to choose frames from', images: 'Pictures', chain: 'Clips to join', video: 'Clips to interpolate', reencode: 'Clip to re-encode' };

/** Server, its address, and browser of the tests. */
export const site = { server: null, address: '', browser: null };

/** Starts `rife serve` on a data folder of the test's temporary folder. */
export async function serve(port = 0, name = 'data', ...more) {
  const data = path.join(folder, name);
  const env = { ...process.env, RIFE_MODELS_DIR: path.join(folder, 'models') };
  const child = spawn(program, ['serve', '--port', String(port), '--data', data, ...more], { stdio: ['ignore', 'pipe', 'pipe'], env });
  const found = await new Promise((resolve, reject) => {
    let text = '';
    const look = (chunk) => {
      text += chunk;
      const match = text.match(/http:\/\/[\d.]+:\d+/);
      if (match) resolve(match[0]);
    };
    child.stdout.on('data', look);
    child.stderr.on('data', look);
    child.on('exit', () => reject(new Error(text)));
  });
  return { child, found };
}

export const ffmpeg = (...args) => execFileSync('ffmpeg', ['-v', 'error', '-y', ...args]);

export function clip(name, seconds, size = '160x96', pattern = 'testsrc2') {
  const file = path.join(folder, name);
  ffmpeg('-f', 'lavfi', '-i', `${pattern}=size=${size}:rate=25`, '-f', 'lavfi', '-i', 'sine=440:sample_rate=16000', '-t', String(seconds), '-pix_fmt', 'yuv420p', '-preset', 'ultrafast', file);
  return file;
}

/** Renders a clip of two shots: one second at 25 frames a second, then one and a half seconds that show every picture twice. */
export function twoShots(name) {
  const file = path.join(folder, name);
  ffmpeg('-filter_complex', 'testsrc2=size=192x128:rate=25:duration=1[a];mandelbrot=size=192x128:rate=12.5,trim=duration=1.6,fps=25,setpts=PTS-STARTPTS[b];[a][b]concat=unsafe=1,format=yuv420p', '-crf', '10', file);
  return file;
}

/** Returns a real clip, else a rendered one where RIFE_REQUIRE (docs/testing.md) does not name the kind `clips`. */
export function real(name) {
  const file = path.join(process.env.RIFE_SHARED || path.join(root, '../shared'), 'clips', name);
  if (fs.existsSync(file)) {
    console.log('needs clips: here');
    return file;
  }
  const required = (process.env.RIFE_REQUIRE || '').split(',').map((word) => word.trim());
  assert.ok(!required.includes('clips') && !required.includes('all'), `RIFE_REQUIRE has clips, and ${file} is not here`);
  console.log(`skipped (clips): ${name} is not here; a rendered clip takes its place`);
  return clip(path.basename(name).replace(/\.\w+$/, '.mp4'), 1);
}

/** Makes the files of an ncnn model: a published description of a network, with weights that are all alike. Null where the kind `reference` (docs/testing.md) is not here. */
export function ncnnModel(name) {
  const file = path.join(process.env.RIFE_SHARED || path.join(root, '../shared'), 'reference/ncnn_params', `${name}_flownet.param`);
  if (!fs.existsSync(file)) {
    const required = (process.env.RIFE_REQUIRE || '').split(',').map((word) => word.trim());
    assert.ok(!required.includes('reference') && !required.includes('all'), `RIFE_REQUIRE has reference, and ${file} is not here`);
    console.log(`skipped (reference): ${file} is not here`);
    return null;
  }
  console.log('needs reference: here');
  const bytes = [];
  const values = (count, value) => bytes.push(Buffer.from(new Float32Array(count).fill(value).buffer));
  for (const line of fs.readFileSync(file, 'utf8').trim().split('\n').slice(2)) {
    const [kind, , ins, outs, ...rest] = line.trim().split(/\s+/);
    const of = Object.fromEntries(rest.slice(Number(ins) + Number(outs)).filter((one) => one.includes('=')).map((one) => one.split('=')));
    const count = Number(of[0]);
    if (/^(Convolution|Deconvolution|ConvolutionDepthWise)$/.test(kind)) {
      bytes.push(Buffer.alloc(4));
      values(Number(of[6]), 0.001);
      if (Number(of[5])) values(count, 0);
    } else if (kind === 'MemoryData') {
      values(['0', '1', '2', '11'].reduce((all, key) => all * Math.max(1, Number(of[key] ?? 0)), 1), 0.1);
    } else if (kind === 'PReLU') values(count, 0.25);
  }
  const files = ['flownet.param', 'flownet.bin'].map((one) => path.join(folder, one));
  fs.copyFileSync(file, files[0]);
  fs.writeFileSync(files[1], Buffer.concat(bytes));
  return files;
}

/** Reports whether all pictures of a locator are loaded. */
export const drawn = (part) => part.evaluateAll((all) => all.length > 0 && all.every((one) => one.complete && one.naturalWidth > 0));

export async function until(what, good) {
  for (const end = Date.now() + 60_000; Date.now() < end;) {
    if (await good()) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.fail(`never: ${what}`);
}

/** Returns the ids of ffmpeg processes that use files of the test. */
export const children = () => fs.readdirSync('/proc').filter((id) => {
  if (!/^\d+$/.test(id)) return false;
  try {
    const line = fs.readFileSync(`/proc/${id}/cmdline`, 'utf8');
    return /(^|\/)ff(mpeg|probe)\0/.test(line) && line.includes(folder);
  } catch {
    return false;
  }
});

export const probe = (file, entries) =>
  execFileSync('ffprobe', ['-v', 'error', '-count_frames', '-select_streams', 'v', '-show_entries', `stream=${entries}`, '-of', 'csv=p=0', file]).toString().trim();

before(async () => {
  const started = await serve();
  [site.server, site.address] = [started.child, started.found];
  const executablePath = process.env.CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((file) => fs.existsSync(file));
  site.browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
  fs.mkdirSync(shots, { recursive: true });
});

after(async () => {
  await site.browser?.close();
  site.server?.kill();
  fs.rmSync(folder, { recursive: true, force: true });
});

/** Opens the page in a new browser context; an error in it fails the test. */
export async function visit(t, options = {}, address = site.address) {
  const context = await site.browser.newContext({ viewport: { width: 1280, height: 900 }, locale: 'en-US', acceptDownloads: true, ...options });
  // Files of the page that are being worked on, without building the program.
  const web = process.env.RIFE_WEB;
  if (web) await context.route(/^[^?]*\/(|[\w/]+\.(js|css|html|svg))(#.*)?$/, (route) => {
    const file = path.join(web, new URL(route.request().url()).pathname.replace(/\/$/, '/index.html'));
    return route.request().url().includes('/api/') || !fs.existsSync(file) ? route.continue() : route.fulfill({ path: file });
  });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  const errors = [];
  page.on('pageerror', (error) => errors.push(error.message));
  t.after(async () => {
    await context.close();
    assert.deepEqual(errors, []);
  });
  await page.goto(address);
  await page.getByRole('tab', { name: 'Video', exact: true }).or(page.getByRole('tab', { name: '视频', exact: true })).waitFor();
  return page;
}

export async function choose(page, tab, ...files) {
  await page.getByRole('tab', { name: TAB[tab], exact: true }).click();
  await page.getByLabel(CHOOSE[tab]).setInputFiles(files);
}

/** Counts what a user clicks from now on: buttons and links once, a field once, a selection twice. Returns a function with the count. */
export async function clicks(page) {
  await page.evaluate(() => {
    globalThis.clicks = 0;
    const count = (/** @type {string} */ type, by, what) => document.addEventListener(type, ({ target }) => { if (what(target)) globalThis.clicks += by; }, { capture: true });
    count('click', 1, () => true);
    count('change', 2, (target) => target.matches('select'));
    count('focusin', 1, (target) => target.matches('input:not([type=checkbox], [type=radio], [type=file])'));
  });
  return () => page.evaluate(() => globalThis.clicks);
}

/** Returns the ids of the jobs on the page. */
export const ids = (page) => page.locator('article.job').evaluateAll((all) => all.map((one) => one.dataset.id));

/** Waits for a job besides those before, and returns its id. */
export async function added(page, before) {
  const found = await page.waitForFunction((before) => [...document.querySelectorAll('article.job')].map((one) => one.dataset.id).find((id) => !before.includes(id)), before);
  return found.jsonValue();
}

export async function start(page, button = /^Start/) {
  const before = await ids(page);
  await page.getByRole('tabpanel').getByRole('button', { name: button }).click();
  return added(page, before);
}

export const card = (page, id) => page.locator(`article.job[data-id="${id}"]`);

/** Opens the card of a job that is done, if it is folded. */
export const unfold = async (page, id) => { if (await card(page, id).evaluate((one) => one.matches('.folded'))) await card(page, id).click(); };

/** Opens the buttons of a card that "More" hides. */
export async function more(page, id) {
  await unfold(page, id);
  await card(page, id).getByRole('button', { name: 'More' }).click();
}

export async function finished(page, id, state = 'done') {
  await page.locator(`article.job[data-id="${id}"][data-state="${state}"]`).waitFor({ timeout: 120_000 });
}

export async function download(page, id, name) {
  await unfold(page, id);
  const [file] = await Promise.all([page.waitForEvent('download'), card(page, id).getByRole('link', { name: /^Download/ }).click()]);
  const to = path.join(folder, name);
  await file.saveAs(to);
  return to;
}
