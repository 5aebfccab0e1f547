// @ts-check
// Before and after: source and result in step, parted by a line that moves.

import { url } from './api.js';
import { el } from './dom.js';
import { t } from './text.js';

/** Seconds by which the two may be apart before the source is set right. */
const APART = 0.06;

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
