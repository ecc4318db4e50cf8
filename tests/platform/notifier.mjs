// Sends notifications until they are acknowledged, and keeps a record of each.

// The real spacing is seconds to hours; the order of things is what a test needs.
const SPACING_MS = [20, 40, 80, 160];
const TIMEOUT_MS = 5_000;

export class Notifier {
    constructor(world, faults) {
        this.world = world;
        this.faults = faults;
        this.reset();
    }

    reset() {
        this.mode = 'auto';
        this.sent = [];
    }

    // A message knows how to `build` itself anew for each try, as the platforms sign each try, and what `accepts` is.
    queue(message) {
        const record = { channel: message.channel, event: message.event, no: message.no, id: message.id, tries: [] };
        this.world.record(this.sent, record);
        if (this.mode !== 'auto' || !message.url) return;
        for (const delay_ms of this.faults.copies()) this.#try(message, record, 0, delay_ms);
    }

    #try(message, record, count, delay_ms) {
        this.world.later(async () => {
            const { status, body } = await post(message.build('plain'));
            record.tries.push({ status, body: body.slice(0, 500) });
            record.acknowledged ||= message.accepts(status, body);
            if (!message.accepts(status, body) && count < SPACING_MS.length && this.mode === 'auto') {
                this.#try(message, record, count + 1, SPACING_MS[count]);
            }
        }, delay_ms);
    }
}

export async function post({ url, headers, body }) {
    try {
        const signal = AbortSignal.timeout(TIMEOUT_MS);
        const answer = await fetch(url, { method: 'POST', headers, body, redirect: 'manual', signal });
        return { status: answer.status, body: await answer.text() };
    } catch (error) {
        return { status: 0, body: String(error.cause?.message ?? error.message) };
    }
}
