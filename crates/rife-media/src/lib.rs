//! Frames in and out: sources, sinks, timeline, colour and the ffmpeg child process.
