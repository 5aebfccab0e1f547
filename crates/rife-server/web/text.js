// @ts-check
// Every text of the page, in one table: add a language by adding a column.

/** @type {Record<string, [string, string]>} */
export const TABLE = {
  // key: [English, Chinese]
  skip: ['Skip to the content', '跳到内容'],
  tagline: ['Smoother video: more frames, slow motion, transitions', '让视频更流畅：插帧、慢动作、过渡'],
  language: ['Language', '语言'],
  theme: ['Theme', '主题'],
  theme_auto: ['System', '跟随系统'],
  theme_light: ['Light', '浅色'],
  theme_dark: ['Dark', '深色'],
  footer: ['Everything stays on this machine.', '所有数据都留在本机。'],
  api: ['API', '接口'],
  tab_frames: ['Select frames', '选取帧'],
  tab_images: ['Between images', '图像之间'],
  tab_chain: ['Chain', '串接'],
  tab_video: ['Video', '视频'],
  tab_reencode: ['Re-encode', '重新编码'],
  lead_frames: ['Take two frames of a clip, and make the pictures between them in the next tab.', '从视频中取两帧，在下一个标签页中生成它们之间的画面。'],
  lead_images: ['Morph from picture to picture. Two or more, in the order below.', '从一张图像平滑过渡到另一张。两张或更多，按下面的顺序。'],
  lead_chain: ['Join clips by transitions that are made from the last frame of one to the first of the next.', '用前一段的最后一帧到后一段的第一帧生成过渡，把多段视频接起来。'],
  lead_video: ['Raise the frame rate, or turn it to slow motion. Sound and subtitles are kept.', '提高帧率，或变成慢动作。声音和字幕会保留。'],
  lead_reencode: ['Write a clip in a form that everything plays, with its colours checked against the source.', '把视频写成处处可播放的格式，并与原片核对颜色。'],
  drop_one: ['Drop a clip here, or choose a file', '把视频拖到这里，或选择文件'],
  drop_clips: ['Drop clips here, or choose files', '把多段视频拖到这里，或选择文件'],
  drop_images: ['Drop pictures here, or choose files', '把图像拖到这里，或选择文件'],
  choose_frames: ['Clip to take frames from', '要取帧的视频'],
  choose_images: ['Pictures', '图像'],
  choose_chain: ['Clips to join', '要串接的视频'],
  choose_video: ['Clips to smooth', '要插帧的视频'],
  choose_reencode: ['Clip to re-encode', '要重新编码的视频'],
  several_queue: ['Several files queue, one after the other.', '多个文件会依次排队处理。'],
  uploading: ['Uploading, {percent}%', '正在上传，{percent}%'],
  remove: ['Remove {name}', '移除 {name}'],
  earlier: ['Move {name} up', '上移 {name}'],
  later: ['Move {name} down', '下移 {name}'],
  start_frame: ['Start frame', '起始帧'],
  end_frame: ['End frame', '结束帧'],
  of_frames: ['1 to {last}', '1 到 {last}'],
  use_frames: ['Use frames in “Between images”', '在“图像之间”中使用这两帧'],
  used_frames: ['Frames {a} and {b} are in “Between images”, in this order.', '第 {a} 帧和第 {b} 帧已按此顺序放入“图像之间”。'],
  frames_order: ['The start frame must be before the end frame.', '起始帧必须在结束帧之前。'],
  start: ['Start', '开始'],
  start_many: ['Start {count} jobs', '开始 {count} 个任务'],
  reset: ['Defaults', '恢复默认'],
  more_options: ['More options', '更多选项'],
  needs: ['Needs {count} or more.', '至少需要 {count} 个。'],
  planning: ['Estimating…', '正在估算…'],
  plan_frames: ['Frames', '帧数'],
  plan_rate: ['Frame rate', '帧率'],
  plan_length: ['Length', '时长'],
  plan_time: ['Takes about', '约需'],
  plan_memory: ['Memory', '内存'],
  plan_disk: ['Disk', '磁盘'],
  plan_size: ['Size', '尺寸'],
  conforms: ['This clip already conforms. Nothing has to be done.', '该视频已符合要求，无需处理。'],
  finding: ['What', '项目'],
  found: ['Found', '当前'],
  wanted: ['Wanted', '目标'],
  good: ['Conforms', '符合'],
  yes: ['yes', '是'],
  no: ['no', '否'],
  o_rate_by: ['Raise by', '提高方式'],
  o_rate_passes: ['Passes (doublings)', '遍数（每遍翻倍）'],
  o_rate_factor: ['Factor', '倍数'],
  o_rate_fps: ['Target rate', '目标帧率'],
  o_passes: ['Passes', '遍数'],
  o_passes_video: ['{n}: {x}×', '{n} 遍：{x} 倍'],
  o_passes_between: ['{n}: {x} steps', '{n} 遍：{x} 步'],
  o_factor: ['Factor', '倍数'],
  o_fps: ['Frames a second', '每秒帧数'],
  o_fps_hint: ['Such as 50, 59.94 or 60000/1001', '例如 50、59.94 或 60000/1001'],
  o_fps_chain: ['Final frames a second', '最终每秒帧数'],
  o_fps_first: ['Empty: as the first clip', '留空：与第一段相同'],
  o_slow: ['Slow motion', '慢动作'],
  o_slow_hint: ['The rate stays, time is stretched', '帧率不变，时间拉长'],
  o_stretch: ['Stretch the sound as well', '声音同步拉长'],
  o_model: ['Model', '模型'],
  o_scale: ['Scale of motion search', '运动搜索比例'],
  o_scale_hint: ['0.5 for 4K, 2 for small pictures', '4K 用 0.5，小图用 2'],
  o_precision: ['Precision', '精度'],
  o_precision_hint: ['int8 is faster where the processor has it', '处理器支持时 int8 更快'],
  o_tta: ['Test-time augmentation', '测试时增强'],
  o_tta_hint: ['A little better, twice the time', '略好，耗时翻倍'],
  o_ensemble: ['Ensemble', '双向集成'],
  o_cut: ['Cut threshold', '镜头切换阈值'],
  o_cut_hint: ['0 finds no cuts', '0 表示不检测'],
  o_cut_fill: ['At a cut', '切换处'],
  o_cut_repeat: ['repeat the frame', '重复前一帧'],
  o_cut_blend: ['blend', '混合'],
  o_duplicates: ['Repeated frames', '重复帧'],
  o_dup_smooth: ['lead motion past them', '让运动平滑越过'],
  o_dup_keep: ['keep', '保留'],
  o_overlays: ['Still overlays', '静止叠加层'],
  o_overlays_auto: ['kept still (logos, subtitles, bars)', '保持静止（台标、字幕、黑边）'],
  o_overlays_off: ['left to the network', '交给网络'],
  o_telecine: ['Inverse telecine', '反胶卷过带'],
  o_deinterlace: ['Deinterlace', '去隔行'],
  o_video_only: ['Video only', '只保留视频'],
  o_montage: ['Source and result side by side', '原片与结果并排'],
  o_confidence: ['Measure confidence', '测量可信度'],
  o_confidence_hint: ['Shown below before and after; takes more time', '显示在前后对比下方；耗时更长'],
  o_ext: ['File type', '文件类型'],
  o_codec: ['Codec', '编码'],
  o_codec_usual: ['usual', '默认'],
  o_crf: ['Quality (CRF, lower is better)', '质量（CRF，越低越好）'],
  o_crf_hint: ['Empty: 18 for H.264', '留空：H.264 为 18'],
  o_size: ['Size', '尺寸'],
  o_size_hint: ['Such as 1280x720; empty: the first one\'s', '例如 1280x720；留空：与第一个相同'],
  o_fit: ['Other sizes', '其他尺寸'],
  o_fit_pad: ['pad', '补边'],
  o_fit_crop: ['crop', '裁剪'],
  o_fit_stretch: ['stretch', '拉伸'],
  o_memory: ['Method', '方式'],
  o_memory_disk: ['disk: little memory', '磁盘：占用内存小'],
  o_memory_memory: ['memory: faster', '内存：更快'],
  o_sound: ['Sound in transitions', '过渡处的声音'],
  o_sound_crossfade: ['crossfade', '交叉淡化'],
  o_sound_silence: ['silence', '静音'],
  o_sound_drop: ['no sound at all', '全部去掉'],
  o_profile: ['Profile', '规格'],
  o_profile_web: ['web: H.264, AAC', '网页：H.264、AAC'],
  o_profile_latentsync: ['LatentSync: 16 kHz sound', 'LatentSync：16 kHz 声音'],
  o_profile_archive: ['archive: lossless', '存档：无损'],
  o_force: ['Write it even where it conforms', '即使符合也重写'],
  jobs: ['Jobs', '任务'],
  no_jobs: ['Nothing here yet. Jobs stay in this list when the page or the server is restarted.', '还没有任务。刷新页面或重启服务器后，任务仍会保留在这里。'],
  more: ['Older jobs', '更早的任务'],
  kind_video: ['Video', '视频'],
  kind_images: ['Between images', '图像之间'],
  kind_chain: ['Chain', '串接'],
  kind_reencode: ['Re-encode', '重新编码'],
  state_queued: ['queued', '排队中'],
  state_running: ['running', '进行中'],
  state_done: ['done', '完成'],
  state_failed: ['failed', '失败'],
  state_cancelled: ['cancelled', '已取消'],
  queued_at: ['Number {n} in the queue', '队列第 {n} 位'],
  progress: ['{done} of {total}', '{done} / {total}'],
  progress_open: ['{done} done', '已完成 {done}'],
  rate: ['{rate} a second', '每秒 {rate}'],
  left: ['{time} left', '剩余 {time}'],
  resumed: ['Went on where it was', '已从中断处继续'],
  cancel: ['Cancel', '取消'],
  retry: ['Try again', '重试'],
  delete: ['Delete', '删除'],
  download: ['Download', '下载'],
  download_of: ['Download {name}', '下载 {name}'],
  compare: ['Before and after', '前后对比'],
  use_in: ['Use output in…', '将结果用于…'],
  preview: ['Newest generated frame', '最新生成的帧'],
  not_needed: ['The clip conforms; nothing was written.', '视频已符合要求，未写入新文件。'],
  took: ['{time}, {size}', '{time}，{size}'],
  started: ['{name} is in the queue.', '{name} 已加入队列。'],
  finished: ['{name} is done.', '{name} 已完成。'],
  failed: ['{name} failed: {text}', '{name} 失败：{text}'],
  before: ['Before', '之前'],
  after: ['After', '之后'],
  divider: ['Divider between before and after', '前后分界'],
  flip: ['Flip', '切换'],
  confidence: ['Confidence over time; the least is {least} % at {at} s', '可信度随时间的变化；最低 {least} %，在 {at} 秒'],
  play: ['Play', '播放'],
  pause: ['Pause', '暂停'],
  position: ['Position', '位置'],
  close: ['Close', '关闭'],
  cannot_play: ['Your browser cannot play one of these files; download them to compare.', '浏览器无法播放其中的文件；请下载后对比。'],
  offline: ['The server does not answer. Trying again…', '服务器没有响应，正在重试…'],
  token: ['This server asks for its token.', '此服务器需要令牌。'],
  token_label: ['Token', '令牌'],
  enter: ['Enter', '进入'],
  seconds: ['{n} s', '{n} 秒'],
  minutes: ['{m} min {s} s', '{m} 分 {s} 秒'],
  hours: ['{h} h {m} min', '{h} 小时 {m} 分'],
  system: ['rife {version} · {models} model(s) · {engine}', 'rife {version} · {models} 个模型 · {engine}'],
};

const COLUMNS = ['en', 'zh'];

/** The language in use: what was chosen, else the browser's. */
export function language() {
  const chosen = localStorage.getItem('language') ?? navigator.language.slice(0, 2);
  return COLUMNS.includes(chosen) ? chosen : 'en';
}

/**
 * A text in the language in use, with `{name}` replaced.
 * @param {string} key
 * @param {Record<string, string | number>} [values]
 */
export function t(key, values = {}) {
  const row = TABLE[key];
  if (!row) return key;
  return row[COLUMNS.indexOf(language())].replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ''));
}

/** @param {number} seconds */
export function duration(seconds) {
  const whole = Math.round(seconds);
  if (seconds < 10) return t('seconds', { n: Math.round(seconds * 10) / 10 });
  if (whole < 60) return t('seconds', { n: whole });
  if (whole < 3600) return t('minutes', { m: Math.floor(whole / 60), s: whole % 60 });
  return t('hours', { h: Math.floor(whole / 3600), m: Math.round((whole % 3600) / 60) });
}

/** @param {number} count */
export function bytes(count) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  const step = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(count, 1)) / 3));
  const value = count / 1000 ** step;
  return `${value >= 100 || step === 0 ? Math.round(value) : value.toFixed(1)} ${units[step]}`;
}
