// @ts-check
// Colour check of a re-encoding: a frame of the source and of the result split by a line, and their histograms.

import { url } from './api.js';
import { el } from './dom.js';
import { svg } from './svg.js';
import { t } from './text.js';

/** Width of the frames in pixels, and number of classes of a histogram. */
const [WIDTH, CLASSES] = [480, 64];
const CHANNELS = ['red', 'green', 'blue'];

/** Creates both frames and the histograms; they load when they are seen. @param {any} job of kind `reencode` with a result */
export function colours(job) {
  const time = ((job.summary.duration_s ?? 0) / 2).toFixed(3);
  const picture = (/** @type {string} */ path, /** @type {string} */ key) => el('img', { alt: t(key), loading: 'lazy', src: url(`/jobs/${job.id}/${path}/frames/at?time_s=${time}&width=${WIDTH}`) });
  const [before, after] = [picture('inputs/0', 'before'), picture(`files/${encodeURIComponent(job.files[0].name)}`, 'after')];
  before.className = 'over';
  const line = el('input', { type: 'range', min: 0, max: 100, value: 50, 'aria-label': t('divider') });
  const pair = el('div', { className: 'split' }, after, before, el('div', { className: 'cutline' }), el('span', { className: 'tag left' }, t('before')), el('span', { className: 'tag right' }, t('after')));
  line.addEventListener('input', () => pair.style.setProperty('--cut', `${line.value}%`));
  const plots = el('div', { className: 'histograms' });
  const both = [before, after].map((image) => new Promise((resolve) => { image.addEventListener('load', resolve, { once: true }); }));
  Promise.all(both).then(() => plots.append(...histograms(before, after)));
  return el('div', { className: 'colours' }, pair, line, plots);
}

/** Returns the share of pixels by class for each channel. @param {HTMLImageElement} image @returns {number[][]} */
function shares(image) {
  const canvas = el('canvas', { width: image.naturalWidth, height: image.naturalHeight });
  const pen = canvas.getContext('2d', { willReadFrequently: true });
  pen.drawImage(image, 0, 0);
  const { data } = pen.getImageData(0, 0, canvas.width, canvas.height);
  const counts = CHANNELS.map(() => Array(CLASSES).fill(0));
  for (let at = 0; at < data.length; at += 4) for (let channel = 0; channel < 3; channel += 1) counts[channel][(data[at + channel] * CLASSES) >> 8] += 1;
  return counts.map((channel) => channel.map((count) => (4 * count) / data.length));
}

/** Draws a histogram for each channel: filled for the source, a line for the result. @param {HTMLImageElement} before @param {HTMLImageElement} after @returns {Element[]} */
function histograms(before, after) {
  const [from, to] = [shares(before), shares(after)];
  return CHANNELS.map((name, channel) => {
    const most = Math.max(...from[channel], ...to[channel]);
    // Roots, so that rare values are seen beside frequent ones.
    const points = (/** @type {number[]} */ values) => values.map((value, index) => `${index},${(40 * (1 - Math.sqrt(value / most))).toFixed(1)}`).join(' ');
    const apart = from[channel].reduce((sum, value, index) => sum + Math.abs(value - to[channel][index]), 0) / 2;
    return svg('svg', { class: `histogram ${name}`, viewBox: `0 0 ${CLASSES - 1} 40`, preserveAspectRatio: 'none', role: 'img', 'aria-label': t('histogram', { channel: t(`channel_${name}`), percent: (100 * apart).toFixed(1) }) },
      svg('polygon', { points: `0,40 ${points(from[channel])} ${CLASSES - 1},40` }), svg('polyline', { points: points(to[channel]) }));
  });
}
