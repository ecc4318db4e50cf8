// What the three platforms share: the clock, the merchant's money with each, and the record of what arrived.

// A request that a platform turned down. `protocol` refusals show a mistake in the caller's code; `business` refusals are
// part of ordinary life, such as closing an order that was just paid.
export class Refusal extends Error {
    constructor(kind, code, message, more = {}) {
        super(message);
        this.kind = kind;
        this.code = code;
        Object.assign(this, more);
    }
}

export const protocol = (code, message, more) => new Refusal('protocol', code, message, more);
export const business = (code, message, more) => new Refusal('business', code, message, more);

// Nobody reads more of the record than this, and a benchmark must not fill the memory.
const RECORDS_MAX = 50_000;

export class World {
    #fixed_ms = null;
    #next = 1;
    #pending = 0;
    #quiet = [];

    constructor({ keys, baseUrl }) {
        this.keys = keys;
        this.baseUrl = baseUrl;
        // Goes up with each reset, so that what was under way before it has no effect after it.
        this.epoch = 0;
        this.reset();
    }

    reset() {
        this.epoch += 1;
        this.requests = [];
        this.refusals = [];
        // Null is as much as is asked for.
        this.balances = { wechat: null, alipay: null, unionpay: null };
        this.settlement = 'auto';
        this.#fixed_ms = null;
    }

    now() {
        return this.#fixed_ms ?? Date.now();
    }

    setClock(ms) {
        this.#fixed_ms = ms;
    }

    // Unique for the life of the process, resets included: a platform never gives out a number twice.
    number(prefix, digits) {
        return prefix + String(this.#next++).padStart(digits, '0');
    }

    canTake(channel, fen) {
        return this.balances[channel] === null || this.balances[channel] >= fen;
    }

    move(channel, fen) {
        if (this.balances[channel] !== null) this.balances[channel] += fen;
    }

    record(list, entry) {
        if (list.length < RECORDS_MAX) list.push(entry);
    }

    // Does work that belongs to this epoch after the answer at hand. `quiet` waits for it.
    later(work, delay_ms = 0) {
        const epoch = this.epoch;
        this.#pending += 1;
        const run = async () => {
            try {
                if (epoch === this.epoch) await work();
            } finally {
                this.#pending -= 1;
                if (this.#pending === 0) this.#quiet.splice(0).forEach((resolve) => resolve());
            }
        };
        if (delay_ms) setTimeout(run, delay_ms);
        else setImmediate(run);
    }

    // Refunds and the like reach their end by themselves, unless a test holds them.
    settle(work) {
        if (this.settlement === 'auto') this.later(work);
    }

    quiet() {
        return this.#pending === 0 ? Promise.resolve() : new Promise((resolve) => this.#quiet.push(resolve));
    }
}
