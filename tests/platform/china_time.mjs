// The platforms speak China time, whatever zone the machine is in.

const OFFSET_MS = 8 * 3_600_000;
const iso = (ms) => new Date(ms + OFFSET_MS).toISOString();

export const rfc3339 = (ms) => `${iso(ms).slice(0, 19)}+08:00`;
export const spaced = (ms) => iso(ms).slice(0, 19).replace('T', ' ');
export const compact = (ms) => iso(ms).slice(0, 19).replace(/\D/g, '');
export const day = (ms) => iso(ms).slice(0, 10);
export const hour = (ms) => Number(iso(ms).slice(11, 13));

// Each reads back what its twin above writes, and gives null for anything else.
export function fromRfc3339(text) {
    if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d$/.test(text)) return null;
    return real(Date.parse(text));
}

export function fromSpaced(text) {
    const ms = real(Date.parse(`${text.replace(' ', 'T')}+08:00`));
    return ms !== null && spaced(ms) === text ? ms : null;
}

export function fromCompact(text) {
    const parts = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/.exec(text);
    return parts && fromSpaced(`${parts[1]}-${parts[2]}-${parts[3]} ${parts[4]}:${parts[5]}:${parts[6]}`);
}

export function fromDay(text) {
    return /^\d{4}-\d\d-\d\d$/.test(text) ? fromSpaced(`${text} 00:00:00`) : null;
}

function real(ms) {
    return Number.isNaN(ms) ? null : ms;
}
