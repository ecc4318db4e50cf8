// What goes wrong on the way, when a test asks for it: single faults, and seeded chaos.

// `late` arrives after the delay; `delay` is done at once and answered after it; the `_after` ones happen to the answer of
// a request that was done, those without to a request that was not.
export const KINDS = [
    'lose_answer', 'delay', 'late', 'status_500', 'status_500_after', 'status_502_html', 'reset', 'bad_signature',
    'no_signature', 'wrong_serial', 'truncated',
];
const CHAOS = [
    'lose_answer', 'lose_answer', 'delay', 'late', 'status_500', 'status_500_after', 'status_502_html', 'reset',
    'bad_signature', 'no_signature', 'truncated',
];
const CHAOS_DELAY_MS = 50;
const DELAY_MS = 100;

export class Faults {
    constructor() {
        this.clear();
    }

    clear() {
        this.rules = [];
        this.down = false;
        this.chaos({ seed: 1, rate: 0 });
    }

    add({ channel = '*', op = '*', fault, delay_ms = DELAY_MS, times = 1, skip = 0 }) {
        if (!KINDS.includes(fault) && !/^business:\w/.test(fault)) throw new Error(`${fault} is not a fault`);
        this.rules.push({ channel, op, fault, delay_ms, times: times ?? Infinity, skip });
    }

    chaos({ seed, rate }) {
        this.rate = rate;
        this.random = mulberry32(seed);
    }

    // The fault of this request, or null.
    take(channel, op) {
        const fits = (wanted, is) => wanted === '*' || wanted === is;
        for (const rule of this.rules) {
            if (!fits(rule.channel, channel) || !fits(rule.op, op) || rule.times === 0) continue;
            if (rule.skip > 0) {
                rule.skip -= 1;
                continue;
            }
            rule.times -= 1;
            return { kind: rule.fault, delay_ms: rule.delay_ms };
        }
        if (this.rate === 0 || this.random() >= this.rate) return null;
        return { kind: CHAOS[Math.floor(this.random() * CHAOS.length)], delay_ms: this.#delay() };
    }

    // When each copy of a notification leaves: more than one is a duplicate, and a delay puts it out of order.
    copies() {
        if (this.rate === 0 || this.random() >= this.rate) return [0];
        return this.random() < 0.5 ? [this.#delay()] : [0, this.#delay()];
    }

    #delay() {
        return Math.ceil(this.random() * CHAOS_DELAY_MS);
    }
}

// A small generator with a seed: the runs must repeat, and Math.random can't.
function mulberry32(seed) {
    let state = seed >>> 0;
    return () => {
        state = (state + 0x6d2b79f5) >>> 0;
        let mixed = Math.imul(state ^ (state >>> 15), state | 1);
        mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
        return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
    };
}
