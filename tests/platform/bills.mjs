// What the daily bills of the three platforms have in common: which day, what happened on it, and what a test spoils.

import { day, fromDay, hour } from './china_time.mjs';

const DAY_MS = 24 * 3_600_000;

export const TAMPERS = ['bad_hash', 'extra_row', 'missing_row', 'amount', 'empty', 'not_ready'];

export class Bills {
    #tampers = new Map();
    #tokens = new Map();

    constructor(world) {
        this.world = world;
        this.reset();
    }

    reset() {
        this.#tampers.clear();
        this.#tokens.clear();
    }

    // A `null` tamper makes the bill right again.
    tamper(date, how) {
        if (how !== null && !TAMPERS.includes(how)) throw new Error(`${how} is not a way to spoil a bill`);
        this.#tampers.set(date, how);
    }

    tampered(date) {
        return this.#tampers.get(date) ?? null;
    }

    // Whether the bill of this day is made: it is the next day at this hour of China.
    isReady(date, readyHour) {
        const now = this.world.now();
        return date < day(now) && (date < day(now - DAY_MS) || hour(now) >= readyHour);
    }

    isDay(date) {
        return typeof date === 'string' && fromDay(date) !== null;
    }

    // What happened on a day, in the order in which it did, with the rows that a test asked to be wrong.
    rows(date, entries) {
        const rows = entries.filter(({ at_ms }) => day(at_ms) === date).sort((one, other) => one.at_ms - other.at_ms);
        return this.spoiled(date, rows);
    }

    spoiled(date, rows) {
        switch (this.tampered(date)) {
            case 'empty':
                return [];
            case 'missing_row':
                return rows.slice(1);
            case 'extra_row':
                return rows.concat(rows.slice(-1).map((row) => ({ ...row, no: `X${row.no.slice(1)}`, platform_no: `9${row.platform_no.slice(1)}` })));
            case 'amount':
                return rows.map((row, index) => (index === 0 ? { ...row, fen: row.fen + 1 } : row));
            default:
                return rows;
        }
    }

    // A link to a file that dies after a while.
    keep(content, life_ms) {
        const token = this.world.number('token', 24);
        this.#tokens.set(token, { content, until_ms: this.world.now() + life_ms });
        return token;
    }

    fetch(token) {
        const kept = this.#tokens.get(token);
        return kept && this.world.now() <= kept.until_ms ? kept.content : null;
    }
}
