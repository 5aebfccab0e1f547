// @ts-check
// Comparison of source and result: both play in sync in one frame, separated by a divider that can be dragged.

import { url } from './api.js';
import { el } from './dom.js';
import { player } from './players.js';
import { t } from './text.js';

/** Percent by which an arrow key moves the divider, without and with Shift. */
const STEP = [2, 10];

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
  return el('figure', {}, canvas, el('figcaption', { className: 'hint' }, label));
}

/** Creates the divider: a slider for keyboard and screen readers, which can also be dragged. @param {HTMLElement} stage */
function divider(stage) {
  const edge = el('div', { className: 'edge', role: 'slider', tabIndex: 0, 'aria-label': t('divider'), 'aria-valuemin': 0, 'aria-valuemax': 100 });
  let percent = 50;
  const moveTo = (/** @type {number} */ to) => {
    percent = Math.min(100, Math.max(0, to));
    stage.style.setProperty('--cut', `${percent}%`);
    edge.setAttribute('aria-valuenow', String(Math.round(percent)));
    edge.setAttribute('aria-valuetext', `${Math.round(percent)} %`);
  };
  const drag = (/** @type {PointerEvent} */ event) => {
    const box = stage.getBoundingClientRect();
    moveTo((100 * (event.clientX - box.left)) / box.width);
  };
  stage.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return;
    event.preventDefault();
    stage.setPointerCapture(event.pointerId);
    edge.focus({ preventScroll: true });
    drag(event);
  });
  stage.addEventListener('pointermove', (event) => stage.hasPointerCapture(event.pointerId) && drag(event));
  edge.addEventListener('keydown', (/** @type {KeyboardEvent} */ event) => {
    const step = STEP[Number(event.shiftKey)];
    /** @type {Record<string, number>} */
    const moves = { ArrowLeft: percent - step, ArrowDown: percent - step, ArrowRight: percent + step, ArrowUp: percent + step, Home: 0, End: 100 };
    if (!(event.key in moves)) return;
    event.preventDefault();
    moveTo(moves[event.key]);
  });
  moveTo(50);
  return { edge, moveTo, flip: () => moveTo(percent > 50 ? 0 : 100) };
}

/** Opens a dialog that compares a result with its source. @param {any} job @param {any} file */
export async function compare(job, file) {
  const stage = el('div', { className: 'stage', 'aria-busy': 'true' }, el('span', { className: 'tag left' }, t('before')), el('span', { className: 'tag right' }, t('after')));
  const line = divider(stage);
  const position = el('input', { type: 'range', 'aria-label': t('position'), min: 0, max: 1, value: 0, step: 0.001 });
  const clock = el('span', { className: 'hint clock' });
  const note = el('p', { className: 'hint', role: 'status', hidden: true });
  const play = el('button', { type: 'button', disabled: true }, t('play'));
  const step = (/** @type {string} */ key, /** @type {string} */ sign) => el('button', { className: 'plain icon', type: 'button', disabled: true, 'aria-label': t(key), title: t(key) }, sign);
  const [back, on] = [step('frame_back', '◂'), step('frame_on', '▸')];
  const dialog = el('dialog', { 'aria-label': t('compare') }, stage, note,
    el('div', { className: 'row' }, play, back, on, el('button', { className: 'plain', type: 'button', onclick: line.flip }, t('flip')),
      el('label', { className: 'grow' }, el('span', { className: 'hint' }, t('position')), position), clock,
      el('button', { className: 'plain', type: 'button', onclick: () => dialog.close() }, t('close'))));
  document.body.append(dialog);
  dialog.showModal();
  /** @type {import('./players.js').Player | undefined} */
  let shown;
  dialog.addEventListener('close', () => {
    shown?.close();
    dialog.remove();
  });
  const moved = () => {
    if (!shown) return;
    if (document.activeElement !== position && shown.length) position.value = String(shown.time / shown.length);
    clock.textContent = t('clock', { at: shown.time.toFixed(2), length: shown.length.toFixed(2) });
    play.textContent = shown.paused ? t('play') : t('pause');
  };
  const name = encodeURIComponent(file.name);
  try {
    shown = await player({ job, file, before: `/jobs/${job.id}/inputs/0`, after: `/jobs/${job.id}/files/${name}`, moved });
  } catch (error) {
    note.textContent = /** @type {Error} */ (error).message;
    note.hidden = false;
    return;
  }
  const ready = shown;
  if (!dialog.isConnected) return ready.close();
  stage.prepend(ready.after, ready.before, line.edge);
  stage.removeAttribute('aria-busy');
  stage.style.setProperty('--shape', ready.shape);
  note.textContent = ready.note;
  note.hidden = !ready.note;
  const [above, below = '1'] = (job.plan?.output_rate ?? '25').split('/');
  const interval = Number(below) / Number(above);
  const seek = (/** @type {number} */ time) => ready.seek(Math.min(Math.max(0, time), Math.max(0, ready.length - interval / 2)));
  for (const [button, by] of /** @type {[any, number][]} */ ([[back, -1], [on, 1]])) {
    button.disabled = false;
    button.addEventListener('click', () => {
      if (!ready.paused) ready.toggle();
      seek(ready.time + by * interval);
    });
  }
  position.addEventListener('input', () => seek(Number(position.value) * ready.length));
  play.disabled = false;
  play.addEventListener('click', ready.toggle);
  const drawn = await confidenceStrip(job, ready).catch(() => null);
  if (drawn) note.before(drawn);
  moved();
  if (!ready.note) ready.toggle();
}
