// @ts-check
// Before and after: source and result in step, parted by a line that moves.

import { url } from './api.js';
import { el } from './dom.js';
import { t } from './text.js';

/** Seconds by which the two may be apart before the source is set right. */
const APART = 0.06;

/**
 * How far each made frame is to be trusted, over the length of the result: where to look for what went wrong.
 * @param {any} job @param {HTMLVideoElement} movie
 */
async function strip(job, movie) {
  if (!job.files.some((/** @type {any} */ file) => file.name === 'confidence.json')) return null;
  /** @type {{time: number, confidence: number}[]} */
  const frames = await (await fetch(url(`/jobs/${job.id}/files/confidence.json`))).json();
  if (!frames.length) return null;
  const least = frames.reduce((a, b) => (b.confidence < a.confidence ? b : a));
  const label = t('confidence', { least: Math.round(100 * least.confidence), at: least.time.toFixed(2) });
  const canvas = el('canvas', { className: 'confidence', width: 1000, height: 48, role: 'img', 'aria-label': label });
  const length = movie.duration || frames[frames.length - 1].time || 1;
  const pen = canvas.getContext('2d');
  const wide = Math.max(1, canvas.width / frames.length);
  for (const { time, confidence } of frames) {
    const high = Math.max(1, confidence * canvas.height);
    pen.fillStyle = `hsl(${120 * confidence} 65% 45%)`;
    pen.fillRect((time / length) * canvas.width - wide / 2, canvas.height - high, wide, high);
  }
  canvas.addEventListener('click', (/** @type {MouseEvent} */ at) => { movie.currentTime = length * (at.offsetX / canvas.clientWidth); });
  return el('figure', {}, canvas, el('figcaption', { className: 'hint' }, label));
}

/** @param {any} job @param {any} file */
export function compare(job, file) {
  const movie = (/** @type {string} */ src, /** @type {string} */ className) =>
    el('video', { src, className, muted: true, loop: true, playsInline: true, preload: 'auto' });
  const after = movie(url(`/jobs/${job.id}/files/${encodeURIComponent(file.name)}`), 'after');
  const before = movie(url(`/jobs/${job.id}/inputs/0`), 'before');
  const stage = el('div', { className: 'stage' }, after, before, el('span', { className: 'edge' }),
    el('span', { className: 'tag left' }, t('before')), el('span', { className: 'tag right' }, t('after')));
  const divider = slider('divider', 0, 100, 50, 0.1);
  const position = slider('position', 0, 1, 0, 0.001);
  const cut = (/** @type {number} */ part) => stage.style.setProperty('--cut', `${part}%`);
  divider.addEventListener('input', () => cut(Number(divider.value)));
  const play = el('button', { type: 'button', onclick: () => (after.paused ? after.play() : after.pause()) }, t('play'));
  const flip = el('button', { className: 'plain', type: 'button', onclick: () => {
    divider.value = Number(divider.value) > 50 ? '0' : '100';
    cut(Number(divider.value));
  } }, t('flip'));
  const wrong = el('p', { className: 'wrong', role: 'alert', hidden: true }, t('cannot_play'));
  const dialog = el('dialog', { 'aria-label': t('compare') }, stage, wrong,
    el('div', { className: 'row' }, play, flip, el('label', { className: 'grow' }, el('span', { className: 'hint' }, t('divider')), divider),
      el('label', { className: 'grow' }, el('span', { className: 'hint' }, t('position')), position),
      el('button', { className: 'plain', type: 'button', onclick: () => dialog.close() }, t('close'))));
  // Slow motion: the source is as far in its own length as the result is in its.
  const stretch = () => (before.duration && after.duration ? before.duration / after.duration : 1);
  const step = () => {
    const wanted = after.currentTime * stretch();
    if (Math.abs(before.currentTime - wanted) > (after.paused ? 0.001 : APART)) before.currentTime = wanted;
    if (document.activeElement !== position && after.duration) position.value = String(after.currentTime / after.duration);
    if (dialog.open) requestAnimationFrame(step);
  };
  position.addEventListener('input', () => { after.currentTime = Number(position.value) * (after.duration || 0); });
  after.addEventListener('play', () => { before.playbackRate = stretch(); before.play().catch(() => {}); play.textContent = t('pause'); });
  after.addEventListener('pause', () => { before.pause(); play.textContent = t('play'); });
  after.addEventListener('loadedmetadata', async () => {
    const drawn = await strip(job, after).catch(() => null);
    if (drawn) stage.after(drawn);
  });
  after.addEventListener('loadedmetadata', () => stage.style.setProperty('--shape', `${after.videoWidth} / ${after.videoHeight}`));
  for (const video of [before, after]) video.addEventListener('error', () => { wrong.hidden = false; });
  dialog.addEventListener('close', () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  step();
  after.play().catch(() => {});
}

/** @param {string} label @param {number} min @param {number} max @param {number} value @param {number} step */
function slider(label, min, max, value, step) {
  return el('input', { type: 'range', 'aria-label': t(label), min, max, step, value });
}
