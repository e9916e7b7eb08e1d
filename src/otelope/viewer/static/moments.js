// Moments and durations, in milliseconds, as people read them.

const pad = (number, digits = 2) => String(number).padStart(digits, "0");

// The time of day, with the date where it is another day than today.
export function clock(ms) {
  if (ms === null || ms === undefined) return "";
  const moment = new Date(ms);
  const time = `${pad(moment.getHours())}:${pad(moment.getMinutes())}:${pad(moment.getSeconds())}`
    + `.${pad(moment.getMilliseconds(), 3)}`;
  return moment.toDateString() === new Date().toDateString() ? time : `${day(moment)} ${time}`;
}

function day(moment) {
  return `${moment.getFullYear()}-${pad(moment.getMonth() + 1)}-${pad(moment.getDate())}`;
}

export function duration(ms) {
  const size = Math.abs(ms);
  const sign = ms < 0 ? "−" : "";
  if (size < 0.0005) return "0 ms";
  if (size < 1) return `${sign}${trim(size, 3)} ms`;
  if (size < 100) return `${sign}${trim(size, 1)} ms`;
  if (size < 1000) return `${sign}${Math.round(size)} ms`;
  const seconds = size / 1000;
  if (seconds < 60) return `${sign}${trim(seconds, 2)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${sign}${minutes} min ${Math.round(seconds % 60)} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${sign}${hours} h ${minutes % 60} min`;
  return `${sign}${Math.round(hours / 24)} d`;
}

function trim(number, digits) {
  return String(Number(number.toFixed(digits)));
}
