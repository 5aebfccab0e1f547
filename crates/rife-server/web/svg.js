// @ts-check
// SVG elements: pictures of the presets, and line plots.

const NAMESPACE = 'http://www.w3.org/2000/svg';

/** Creates an SVG element. @param {string} name @param {Record<string, string | number>} attributes @param {...Node} children */
export function svg(name, attributes, ...children) {
  const element = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  element.append(...children);
  return element;
}

/** Paths of pictures of 48 x 24, drawn with lines: solid ones, and pale ones for what is added. @type {Record<string, [string, string]>} */
const PICTURES = {
  double: ['M4 6h8v12h-8zM36 6h8v12h-8z', 'M20 6h8v12h-8z'],
  lips: ['M8 12q8-9 16-3q8-6 16 3q-16 13-32 0z', 'M8 12h32'],
  film: ['M4 4h40v16h-40zM4 8h40M4 16h40M10 4v4M18 4v4M26 4v4M34 4v4M10 16v4M18 16v4M26 16v4M34 16v4', 'M17 8v8M31 8v8'],
  slow: ['M4 20q10-16 20-8t20-4', 'M8 20v-4M16 20v-9M26 20v-7M38 20v-9'],
  anime: ['M10 12a4 4 0 1 0 .1 0M32 8a4 4 0 1 0 .1 0', 'M21 10a4 4 0 1 0 .1 0M4 22h40'],
  tape: ['M6 4h36v16h-36zM17 12a3 3 0 1 0 .1 0M31 12a3 3 0 1 0 .1 0', 'M14 20l3-4h14l3 4'],
  screen: ['M8 3h32v14h-32zM20 21h8M24 17v4', 'M16 6l8 5l-4 1l2 3'],
  gif: ['M34 8a11 8 0 1 0 2 6M36 3v6h-6', 'M18 12h12'],
  own: ['M10 5h28M10 12h28M10 19h28', 'M18 2v6M30 9v6M22 16v6'],
};

/** Creates the picture of a preset. @param {string} name */
export function picture(name) {
  const [solid, pale] = PICTURES[name] ?? PICTURES.own;
  return svg('svg', { viewBox: '0 0 48 24', class: 'art', 'aria-hidden': 'true' }, svg('path', { d: pale, class: 'pale' }), svg('path', { d: solid }));
}

/** Creates a plot of several lines over time. @param {{name: string, values: number[]}[]} lines @param {number[]} times in seconds
 * @param {[number, number]} range of the values @param {string} label
 */
export function plot(lines, times, [low, high], label) {
  const [width, height] = [600, 140];
  const last = times[times.length - 1] || 1;
  const at = (/** @type {number} */ value, /** @type {number} */ index) =>
    `${((times[index] / last) * width).toFixed(1)} ${(height - ((Math.min(high, value) - low) / (high - low || 1)) * height).toFixed(1)}`;
  return svg('svg', { viewBox: `-2 -4 ${width + 4} ${height + 8}`, class: 'plot', preserveAspectRatio: 'none', role: 'img', 'aria-label': label },
    ...lines.map(({ name, values }) => svg('polyline', { class: name, points: values.map(at).join(' ') })));
}
