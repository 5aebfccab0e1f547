// @ts-check
// Comparison of two versions of a clip (source and results): both play in sync, separated by a line that is dragged in the
// picture, side by side, or as their difference.

import { call, url } from './api.js';
import { el } from './dom.js';
import { differences, otherSettings } from './options.js';
import { playButton, player } from './players.js';
import { rateOf, seconds } from './position.js';
import { t } from './text.js';

/** Percent by which an arrow key moves the divider, without and with Shift. */
const STEP = [2, 10];
/** Playback rates. */
const RATES = ['0.1', '0.25', '0.5', '1'];
/** Zooms: the whole picture, and percent of its pixels. */
const ZOOMS = ['fit', '100', '400'];

/** @typedef {{label: string, job: any, file: any, version: import('./players.js').Version}} Choice */

/** Returns the source's second of a result's start, and the source's seconds per second of the result. @param {any} job */
function placeOf(job) {
  const { start, slow_motion: slow } = job.options ?? {};
  const first = start ? seconds(start, rateOf(job.plan?.input_rate) || 25) : 0;
  const { input_duration_s: source, duration_s: made } = job.plan ?? {};
  return { start: Number.isFinite(first) ? first : 0, speed: slow && source && made ? source / made : 1 };
}

/** Returns the source and all results of the clip of a job. @param {any} job @returns {Promise<Choice[]>} */
async function choices(job) {
  const [input] = job.inputs;
  const same = (/** @type {any} */ other) => other.inputs[0].name === input.name && other.inputs[0].bytes === input.bytes;
  const page = await call('GET', '/jobs?state=done&limit=50').catch(() => ({ items: [] }));
  const jobs = [job, ...page.items.filter((/** @type {any} */ other) => other.id !== job.id && ['video', 'reencode'].includes(other.kind) && same(other))];
  const label = (/** @type {any} */ one, /** @type {any} */ file) => {
    const special = differences(one, jobs);
    return [...special, file.label, ...otherSettings(one).filter((word) => !special.includes(word))].join(' · ');
  };
  const results = jobs.flatMap((one) => one.files.filter((/** @type {any} */ file) => file.media_type.startsWith('video/') || file.media_type === 'application/mxf')
    .map((/** @type {any} */ file) => ({ label: label(one, file), job: one, file, version: { path: `/jobs/${one.id}/files/${encodeURIComponent(file.name)}`, ...placeOf(one) } })));
  return [{ label: t('source'), job, file: null, version: { path: `/jobs/${job.id}/inputs/0`, start: 0, speed: 1 } }, ...results];
}

/** Draws the confidence of each interpolated frame over the duration of the result; a click seeks. Null without confidences.
 * @param {any} job @param {import('./players.js').Player} shown
 */
async function confidenceStrip(job, shown) {
  if (!job.files.some((/** @type {any} */ file) => file.name === 'confidence.json')) return null;
  /** @type {{time: number, confidence: number}[]} */
  const frames = await (await fetch(url(`/jobs/${job.id}/files/confidence.json`))).json();
  if (!frames.length) return null;
  const lowest = frames.reduce((a, b) => (b.confidence < a.confidence ? b : a));
  const label = t('confidence', { least: Math.round(100 * lowest.confidence), at: lowest.time.toFixed(2) });
  const canvas = el('canvas', { className: 'confidence', width: 1000, height: 48, role: 'img', 'aria-label': label });
  const length = shown.length || frames[frames.length - 1].time || 1;
  const pen = canvas.getContext('2d');
  const barWidth = Math.max(1, canvas.width / frames.length);
  for (const { time, confidence } of frames) {
    const barHeight = Math.max(1, confidence * canvas.height);
    pen.fillStyle = `hsl(${120 * confidence} 65% 45%)`;
    pen.fillRect((time / length) * canvas.width - barWidth / 2, canvas.height - barHeight, barWidth, barHeight);
  }
  canvas.addEventListener('click', (/** @type {MouseEvent} */ at) => shown.seek(length * (at.offsetX / canvas.clientWidth)));
  const worst = el('button', { className: 'plain', type: 'button', onclick: () => shown.seek(lowest.time) }, t('worst'));
  return el('figure', {}, el('div', { className: 'confidences' }, canvas, el('div', { className: 'head', 'aria-hidden': 'true' })),
    el('figcaption', { className: 'row' }, el('span', { className: 'hint grow' }, label), worst));
}

/** Creates the divider: a slider for keyboard and screen readers, which can also be dragged; in an enlarged picture, dragging
 * elsewhere pans. @param {HTMLElement} stage @param {(x: number, y: number) => boolean} pan moves the picture by pixels; false where there is nothing to move
 */
function divider(stage, pan) {
  const edge = el('div', { className: 'edge', role: 'slider', tabIndex: 0, 'aria-label': t('divider'), 'aria-valuemin': 0, 'aria-valuemax': 100 });
  let percent = 50;
  const moveTo = (/** @type {number} */ to) => {
    percent = Math.min(100, Math.max(0, to));
    stage.style.setProperty('--cut', `${percent}%`);
    edge.setAttribute('aria-valuenow', String(Math.round(percent)));
    edge.setAttribute('aria-valuetext', `${Math.round(percent)} %`);
  };
  let onEdge = false;
  const drag = (/** @type {PointerEvent} */ event) => {
    if (!onEdge && pan(event.movementX, event.movementY)) return;
    if (stage.dataset.view !== 'split') return;
    const box = stage.getBoundingClientRect();
    moveTo((100 * (event.clientX - box.left)) / box.width);
  };
  stage.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return;
    event.preventDefault();
    onEdge = event.target === edge;
    stage.setPointerCapture(event.pointerId);
    stage.focus({ preventScroll: true });
    if (onEdge) edge.focus({ preventScroll: true });
    drag(event);
  });
  stage.addEventListener('pointermove', (event) => {
    if (!stage.hasPointerCapture(event.pointerId)) return;
    // A dragged line takes the arrow keys; a click leaves them to the frames.
    if (event.movementX || event.movementY) edge.focus({ preventScroll: true });
    drag(event);
  });
  edge.addEventListener('keydown', (/** @type {KeyboardEvent} */ event) => {
    const step = STEP[Number(event.shiftKey)];
    /** @type {Record<string, number>} */
    const moves = { ArrowLeft: percent - step, ArrowDown: percent - step, ArrowRight: percent + step, ArrowUp: percent + step, Home: 0, End: 100 };
    if (!(event.key in moves)) return;
    event.preventDefault();
    event.stopPropagation();
    moveTo(moves[event.key]);
  });
  moveTo(50);
  return { edge, moveTo, flip: () => moveTo(percent > 50 ? 0 : 100) };
}

/** Zoom of both pictures. @param {HTMLElement} stage */
function magnifier(stage) {
  let [zoom, x, y] = ['fit', 0, 0];
  /** @type {[number, number]} */
  let size = [0, 0];
  const scale = () => {
    const layer = stage.querySelector('.layer');
    if (zoom === 'fit' || !layer || !size[0]) return 1;
    const fitted = Math.min(layer.clientWidth, (layer.clientHeight * size[0]) / size[1]);
    return ((Number(zoom) / 100) * size[0]) / (fitted * devicePixelRatio);
  };
  const show = () => {
    const layer = stage.querySelector('.layer');
    const by = scale();
    const limit = (/** @type {number} */ value, /** @type {number} */ side) => Math.min(Math.max(value, -(side * Math.max(0, by - 1)) / 2), (side * Math.max(0, by - 1)) / 2);
    [x, y] = [limit(x, layer?.clientWidth ?? 0), limit(y, layer?.clientHeight ?? 0)];
    stage.style.setProperty('--move', `translate(${x}px, ${y}px) scale(${by})`);
    stage.classList.toggle('enlarged', by > 1.001);
    stage.classList.toggle('pixels', by > 2);
  };
  return {
    show,
    of: (/** @type {[number, number]} */ pixels) => { size = pixels; show(); },
    to: (/** @type {string} */ wanted) => { [zoom, x, y] = [wanted, 0, 0]; show(); },
    pan: (/** @type {number} */ right, /** @type {number} */ down) => {
      if (scale() <= 1.001) return false;
      [x, y] = [x + right, y + down];
      show();
      return true;
    },
  };
}

/** Creates a labelled selection. @param {string} label text key @param {[string, string][]} options @param {string} value @param {(value: string) => void} changed */
function select(label, options, value, changed) {
  const box = el('select', { onchange: () => changed(box.value) }, ...options.map(([one, text]) => el('option', { value: one }, text)));
  box.value = value;
  return { box, element: el('label', {}, el('span', { className: 'hint' }, t(label)), box) };
}

/** Opens a dialog that compares a result with its source, or with another result of the same clip. @param {any} job @param {any} file */
export async function compare(job, file) {
  const magnify = { pan: (/** @type {number} */ _x, /** @type {number} */ _y) => false };
  const tags = [el('span', { className: 'tag left' }), el('span', { className: 'tag right' })];
  const stage = el('div', { className: 'stage', 'data-view': 'split', 'aria-busy': 'true', role: 'group', 'aria-label': t('compare'), tabIndex: -1 }, ...tags);
  const line = divider(stage, (x, y) => magnify.pan(x, y));
  const glass = magnifier(stage);
  magnify.pan = glass.pan;
  const position = el('input', { type: 'range', 'aria-label': t('position'), min: 0, max: 1, value: 0, step: 'any' });
  const clock = el('span', { className: 'hint clock' });
  const note = el('p', { className: 'hint', role: 'status', hidden: true });
  const strip = el('div', {});
  const play = playButton('', () => shown?.toggle());
  play.button.disabled = true;
  const icon = (/** @type {string} */ key, /** @type {string} */ sign) => el('button', { className: 'plain icon', type: 'button', disabled: true, 'aria-label': t(key), title: t(key) }, sign);
  const [back, on] = [icon('frame_back', '◂'), icon('frame_on', '▸')];
  /** @type {import('./players.js').Player | undefined} */
  let shown;
  let interval = 0.04;
  /** Number of frames of a clip of uneven frame times, whose frames cannot be told from times; 0 for an even one. */
  let uneven = 0;
  const view = select('view', [['split', t('view_split')], ['side', t('view_side')], ['difference', t('view_difference')]], 'split', (value) => {
    stage.dataset.view = value;
    fit();
    glass.show();
  });
  const pace = select('pace', RATES.map((rate) => [rate, `${rate}×`]), '1', (value) => shown?.pace(Number(value)));
  const zoom = select('zoom', ZOOMS.map((one) => [one, one === 'fit' ? t('zoom_fit') : `${one} %`]), 'fit', (value) => glass.to(value));
  const check = (/** @type {string} */ key, /** @type {boolean} */ checked, /** @type {(on: boolean) => void} */ changed) => {
    const box = el('input', { type: 'checkbox', checked, onchange: () => changed(box.checked) });
    return { box, element: el('label', { className: 'tick' }, box, t(key)) };
  };
  const loop = check('loop', true, (value) => shown?.loop(value));
  const sound = check('sound_on', false, (value) => shown?.mute(!value));
  const full = el('button', { className: 'plain', type: 'button', onclick: () => whole() }, t('full'));
  const versions = el('div', { className: 'row versions' });
  const viewer = el('div', { className: 'viewer' }, stage, note, strip,
    el('div', { className: 'row' }, play.button, back, on, el('button', { className: 'plain', type: 'button', onclick: line.flip }, t('flip')),
      el('label', { className: 'grow' }, el('span', { className: 'hint' }, t('position')), position), clock),
    el('div', { className: 'row tools' }, view.element, pace.element, zoom.element, loop.element, sound.element, full, versions,
      el('button', { className: 'plain', type: 'button', onclick: () => dialog.close() }, t('close'))),
    el('p', { className: 'hint' }, t('compare_keys')));
  const dialog = el('dialog', { 'aria-label': t('compare') }, viewer);
  const whole = () => (document.fullscreenElement ? document.exitFullscreen() : viewer.requestFullscreen()).catch(() => {});
  const fit = () => {
    const [width, height] = shown?.size ?? [16, 9];
    stage.style.setProperty('--shape', `${width * (stage.dataset.view === 'side' ? 2 : 1)} / ${height}`);
  };
  document.body.append(dialog);
  dialog.showModal();
  stage.focus();
  const resized = new ResizeObserver(() => glass.show());
  resized.observe(stage);
  dialog.addEventListener('close', () => {
    shown?.close();
    resized.disconnect();
    dialog.remove();
  });
  const moved = () => {
    if (!shown) return;
    const part = shown.length ? shown.time / shown.length : 0;
    if (document.activeElement !== position) position.value = String(part);
    viewer.style.setProperty('--head', `${100 * part}%`);
    const frame = Math.max(0, Math.floor(shown.time / interval + 1e-3));
    const times = { at: shown.time.toFixed(2), length: shown.length.toFixed(2) };
    clock.textContent = uneven ? t('clock_uneven', { ...times, count: uneven }) : t('clock', { ...times, n: frame + 1, count: Math.max(frame + 1, Math.round(shown.length / interval)) });
    play.show(!shown.paused);
  };
  const seek = (/** @type {number} */ time) => shown?.seek(Math.min(Math.max(0, time), Math.max(0, shown.length - interval / 2)));
  const step = (/** @type {number} */ by) => {
    if (!shown) return;
    if (!shown.paused) shown.toggle();
    // The middle of a frame, since times of frames are rounded.
    seek((Math.floor(shown.time / interval + 1e-3) + by + 0.5) * interval);
  };
  back.addEventListener('click', () => step(-1));
  on.addEventListener('click', () => step(1));
  position.addEventListener('input', () => shown && seek(Number(position.value) * shown.length));
  // After a click on a control the keys act on the picture again.
  let pointed = false;
  viewer.addEventListener('pointerdown', () => { pointed = true; }, { capture: true });
  viewer.addEventListener('keydown', () => { pointed = false; }, { capture: true });
  const release = (/** @type {Event} */ event) => pointed && /** @type {HTMLElement} */ (event.target).matches('button, input, select') && stage.focus({ preventScroll: true });
  viewer.addEventListener('change', release);
  viewer.addEventListener('click', (/** @type {Event} */ event) => /** @type {HTMLElement} */ (event.target).matches('select') || release(event));
  dialog.addEventListener('keydown', (/** @type {KeyboardEvent} */ event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    if (event.ctrlKey || event.metaKey || event.altKey || target.matches('select')) return;
    const act = { ' ': () => shown?.toggle(), ArrowLeft: () => step(-1), ArrowRight: () => step(1), f: whole }[event.key];
    // Space presses a focused button or checkbox.
    if (!act || (event.key === ' ' && target.matches('button, [type=checkbox]'))) return;
    event.preventDefault();
    act();
  });

  const known = await choices(job);
  const first = Math.max(1, known.findIndex((one) => one.job.id === job.id && one.file?.name === file.name));
  const chosen = [0, first];
  let opening = 0;
  /** Opens the chosen versions at the time that is shown. */
  const open = async () => {
    const [left, right] = chosen.map((index) => known[index]);
    const mine = (opening += 1);
    const at = shown ? known[current].version.start + shown.time * known[current].version.speed : null;
    shown?.close();
    shown = undefined;
    stage.setAttribute('aria-busy', 'true');
    const names = /** @type {[string, string]} */ (chosen[0] === 0 && chosen[1] === first ? [t('before'), t('after')] : [left.label, right.label]);
    tags.forEach((tag, index) => { tag.textContent = names[index]; });
    let made;
    try {
      made = await player({ left: left.version, right: right.version, names, moved });
    } catch (error) {
      note.textContent = /** @type {Error} */ (error).message;
      note.hidden = false;
      return;
    }
    if (!dialog.isConnected || mine !== opening) return made.close();
    [shown, current] = [made, chosen[1]];
    const { plan = {}, summary = {} } = right.job;
    const [rate, count] = right.file ? [plan.output_rate, summary.frames_out ?? plan.output_frames] : [plan.input_rate, plan.input_frames];
    uneven = plan.variable_rate && (!right.file || !rate) ? (count ?? 0) : 0;
    interval = uneven ? made.length / uneven : 1 / (rateOf(rate) || 25);
    for (const layer of stage.querySelectorAll('.layer')) layer.remove();
    stage.prepend(el('div', { className: 'layer right' }, made.after), el('div', { className: 'layer left' }, made.before), line.edge);
    stage.removeAttribute('aria-busy');
    fit();
    glass.of(made.size);
    note.textContent = made.note;
    note.hidden = !made.note;
    sound.box.disabled = !made.sounds;
    [back.disabled, on.disabled, play.button.disabled] = [false, false, false];
    made.pace(Number(pace.box.value));
    made.loop(loop.box.checked);
    made.mute(!sound.box.checked);
    strip.replaceChildren();
    const drawn = right.file ? await confidenceStrip(right.job, made).catch(() => null) : null;
    if (drawn && shown === made) strip.replaceChildren(drawn);
    if (at !== null) seek((at - right.version.start) / right.version.speed);
    moved();
    if (!made.note && at === null) made.toggle();
  };
  let current = first;
  if (known.length > 2) {
    const pick = (/** @type {number} */ side, /** @type {string} */ key) =>
      select(key, known.map((one, index) => [String(index), one.label]), String(chosen[side]), (value) => { chosen[side] = Number(value); open(); });
    versions.append(pick(0, 'version_left').element, pick(1, 'version_right').element);
  }
  await open();
}
