// The interface under /_sim/ with which a test plays the families, the line and the clock.

import { post } from './notifier.mjs';
import { json } from './server.mjs';

const CHANNELS = ['wechat', 'alipay', 'unionpay'];

export class Control {
    // Set by the server, which knows the connections.
    onDown = () => {};

    constructor({ world, faults, notifier, platforms }) {
        this.world = world;
        this.faults = faults;
        this.notifier = notifier;
        this.platforms = Object.fromEntries(platforms.map((platform) => [platform.channel, platform]));
        this.calls = {
            'POST /_sim/clock': (body) => this.#clock(body),
            'POST /_sim/reset': () => this.#reset(),
            'POST /_sim/pay': (body) => this.#pay(body),
            'POST /_sim/scan': (body) => refusable('scanned', this.platforms.alipay.trades.scan(body.order_no, body)),
            'POST /_sim/confirm': (body) => refusable('confirmed', this.platforms.wechat.transfers.confirm(body.out_bill_no)),
            'POST /_sim/settle': (body) => this.#settle(body),
            'POST /_sim/settlement': ({ mode }) => this.#settlement(mode),
            'POST /_sim/balance': ({ channel, fen }) => this.#balance(channel, fen),
            'POST /_sim/notify': ({ mode }) => this.#notify(mode),
            'POST /_sim/deliver': (body) => this.#deliver(body),
            'POST /_sim/faults': (body) => this.faults.add(body),
            'POST /_sim/faults/clear': () => this.faults.clear(),
            'POST /_sim/down': ({ down }, socket) => this.#down(down, socket),
            'POST /_sim/chaos': (body) => this.faults.chaos(body),
            'POST /_sim/keys': ({ channel = 'wechat', mode }) => this.#platform(channel).useKeys(mode),
            'POST /_sim/bill': ({ channel, date, tamper }) => this.#platform(channel).bills.tamper(date, tamper),
            'GET /_sim/facts': () => this.#facts(),
            'GET /_sim/refusals': () => this.world.refusals,
            'GET /_sim/requests': (query) => this.#requests(query),
            'GET /_sim/notifications': () => this.notifier.sent,
            'GET /_sim/quiet': () => this.world.quiet(),
        };
    }

    async answer({ method, path, query, body }, socket) {
        const call = this.calls[`${method} ${path}`];
        if (!call) return json(404, { error: `${method} ${path} is not there` });
        try {
            const given = method === 'GET' ? Object.fromEntries(new URLSearchParams(query)) : JSON.parse(body.length ? body : '{}');
            const value = (await call(given, socket)) ?? {};
            return json(value.why ? 409 : 200, value);
        } catch (error) {
            return json(400, { error: error.message });
        }
    }

    #clock({ now_ms }) {
        if (now_ms !== null && !Number.isSafeInteger(now_ms)) throw new Error('now_ms is a time in milliseconds, or null');
        this.world.setClock(now_ms);
        this.platforms.wechat.transfers.tick();
        return { now_ms: this.world.now() };
    }

    #reset() {
        this.world.reset();
        this.faults.clear();
        this.notifier.reset();
        Object.values(this.platforms).forEach((platform) => platform.reset());
    }

    #pay({ channel, order_no, ...how }) {
        const { orders, trades } = this.#platform(channel);
        return refusable('paid', (orders ?? trades).pay(order_no, how));
    }

    #settle({ channel = 'wechat', kind, no, state, reason }) {
        const platform = this.#platform(channel);
        const part = { transfer: platform.transfers, refund: platform.refunds, payment: platform.trades ?? platform.orders }[kind];
        if (!part?.settle) throw new Error(`${channel} has no ${kind} to settle`);
        part.settle(no, state, reason);
    }

    #settlement(mode) {
        if (mode !== 'auto' && mode !== 'manual') throw new Error('mode is auto or manual');
        this.world.settlement = mode;
    }

    #balance(channel, fen) {
        this.#platform(channel);
        this.world.balances[channel] = fen;
    }

    #notify(mode) {
        if (mode !== 'auto' && mode !== 'manual') throw new Error('mode is auto or manual');
        this.notifier.mode = mode;
    }

    async #deliver({ channel, order_no, no = order_no, event = 'payment', variant = 'plain', to, raw = false }) {
        const notice = this.#notice(channel, event, no);
        const again = variant === 'duplicate';
        if (again && !notice.last) notice.last = notice.build('plain');
        const message = again ? notice.last : notice.build(variant);
        if (variant === 'plain') notice.last = message;
        const { url, headers, body } = { ...message, ...(to && { url: to }) };
        if (raw) return { url, headers, body };
        return post({ url, headers, body });
    }

    #notice(channel, event, no) {
        const channels = channel ? [channel] : CHANNELS;
        for (const name of channels) {
            const { orders, trades, refunds, transfers } = this.#platform(name);
            const part = { payment: orders ?? trades, refund: refunds, transfer: transfers }[event];
            const notice = part?.all.get(no)?.notice;
            if (notice) return notice;
        }
        throw new Error(`nothing is to be told of the ${event} ${no}: it is unknown, or has not happened`);
    }

    // The asking connection may have been used for a platform before, and still has to be answered.
    #down(down, socket) {
        this.faults.down = down;
        if (down) this.onDown(socket);
    }

    #facts() {
        const every = (part) => Object.values(this.platforms).flatMap((platform) => [...(platform[part]?.all.values() ?? [])]);
        const plain = ({ notice, order, code, ...fact }) => fact;
        return {
            now_ms: this.world.now(),
            orders: [...every('orders'), ...every('trades')].map(plain),
            refunds: every('refunds').map(plain),
            transfers: every('transfers').map(plain),
            balances: this.world.balances,
        };
    }

    #requests({ no, channel, op }) {
        const fits = (wanted, is) => wanted === undefined || wanted === is;
        return this.world.requests.filter((entry) => fits(no, entry.no) && fits(channel, entry.channel) && fits(op, entry.op));
    }

    #platform(channel) {
        const platform = this.platforms[channel];
        if (!platform) throw new Error(`${channel} is not a channel`);
        return platform;
    }
}

// What a family tried: done, or 409 and why not.
function refusable(verb, why) {
    return why === null ? { [verb]: true } : { [verb]: false, why };
}
