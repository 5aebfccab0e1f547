// @ts-check
// Positions in a clip (start and end of a part): parsing and formatting, as the server reads them.

/** Returns a position in seconds from the first frame; NaN for a malformed one.
 * @param {string | number} text seconds, timecode or frames such as `120f` @param {number} fps frames per second of the clip
 */
export function seconds(text, fps) {
  const word = String(text).trim();
  const frames = /^(\d+)f$/i.exec(word);
  if (frames) return Number(frames[1]) / fps;
  const parts = /^(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d+)?)$/.exec(word);
  if (!parts) return Number.NaN;
  const [, hours = '0', minutes = '0', rest] = parts;
  return 3600 * Number(hours) + 60 * Number(minutes) + Number(rest);
}

/** Formats seconds as a timecode, with hours and minutes only where needed: `2.040`, `1:02.500`. @param {number} time */
export function timecode(time) {
  const whole = Math.max(0, Math.round(1000 * time));
  const [hours, minutes, rest] = [Math.floor(whole / 3_600_000), Math.floor(whole / 60_000) % 60, (whole % 60_000) / 1000];
  const padded = (/** @type {number | string} */ number, /** @type {number} */ length) => String(number).padStart(length, '0');
  if (hours > 0) return `${hours}:${padded(minutes, 2)}:${padded(rest.toFixed(3), 6)}`;
  return minutes > 0 ? `${minutes}:${padded(rest.toFixed(3), 6)}` : rest.toFixed(3);
}

/** Parses a rate such as `30000/1001`; NaN for none. @param {string | null | undefined} text */
export function rateOf(text) {
  const [above, below = '1'] = (text ?? '').split('/');
  return above ? Number(above) / Number(below) : Number.NaN;
}
