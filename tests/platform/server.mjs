// One HTTP server for the three platforms and the control interface: reads a request, lets faults strike, answers.

import { createServer } from 'node:http';

import { Refusal } from './world.mjs';

const BODY_MAX = 1 << 20;

export function serve({ world, faults, platforms, control }) {
    const server = createServer({ keepAliveTimeout: 0, requestTimeout: 0 });
    // The sockets that the platforms are spoken to on: they close when the platforms go down.
    const sockets = new Set();
    control.onDown = (asking) => sockets.forEach((socket) => socket === asking || socket.destroy());
    server.on('request', async (incoming, response) => {
        try {
            const request = await read(incoming);
            if (request.path.startsWith('/_sim/')) {
                // A caller may speak to both on one connection, and is to get this answer.
                sockets.delete(incoming.socket);
                send(response, await control.answer(request, incoming.socket));
                return;
            }
            const { socket } = incoming;
            if (!sockets.has(socket)) {
                sockets.add(socket);
                socket.once('close', () => sockets.delete(socket));
            }
            await platform(request, response, socket);
        } catch (error) {
            // The caller went away while it was speaking.
            if (error.code === 'ECONNRESET') return;
            // A mistake in here must not pass for a fault that a test asked for.
            process.stderr.write(`${error.stack}\n`);
            send(response, json(599, { error: error.stack }));
        }
    });

    async function platform(request, response, socket) {
        if (faults.down) return void socket.destroy();
        const one = platforms.find((candidate) => candidate.owns(request.path));
        if (!one) return void send(response, json(404, { error: 'no platform has this path' }));
        const { op, no } = one.peek(request);
        const fault = faults.take(one.channel, op);
        const entry = { at_ms: world.now(), channel: one.channel, op, no, method: request.method, target: request.target };
        world.record(world.requests, Object.assign(entry, { params: request.params, fault: fault?.kind }));
        if (fault?.kind === 'reset') return void socket.resetAndDestroy();
        if (fault?.kind === 'status_500') return void send(response, broken(500));
        if (fault?.kind === 'status_502_html') return void send(response, broken(502));
        if (fault?.kind === 'late') return void world.later(() => finish(one, request, entry, null, response), fault.delay_ms);
        finish(one, request, entry, fault, response);
    }

    function finish(one, request, entry, fault, response) {
        const answer = attempt(one, request, entry, fault);
        const { socket } = response;
        switch (fault?.kind) {
            case 'lose_answer':
                return socket?.destroy();
            case 'status_500_after':
                return send(response, broken(500));
            case 'delay':
                return world.later(() => send(response, answer), fault.delay_ms);
            case 'bad_signature':
            case 'no_signature':
            case 'wrong_serial':
                return send(response, one.spoil(answer, fault.kind));
            case 'truncated':
                response.writeHead(answer.status, { ...answer.headers, 'content-length': answer.body.length + 1 });
                response.write(answer.body.subarray(0, answer.body.length / 2), () => socket?.destroy());
                return undefined;
            default:
                return send(response, answer);
        }
    }

    function attempt(one, request, entry, fault) {
        try {
            if (fault?.kind.startsWith('business:')) throw one.failure(fault.kind.slice('business:'.length));
            const answer = one.answer(request);
            entry.status = answer.status;
            return answer;
        } catch (error) {
            if (!(error instanceof Refusal)) throw error;
            const answer = one.refuse(request, error);
            Object.assign(entry, { status: answer.status, code: error.code });
            const { at_ms, channel, op, no } = entry;
            const { kind, code, message, detail } = error;
            const asked = fault ? { fault: fault.kind } : {};
            world.record(world.refusals, { at_ms, channel, op, no, kind, status: answer.status, code, message, detail, ...asked });
            return answer;
        }
    }

    return server;
}

export function json(status, value) {
    return { status, headers: { 'content-type': 'application/json' }, body: Buffer.from(JSON.stringify(value)) };
}

function broken(status) {
    const body = Buffer.from(`<html><body><center><h1>${status} Bad Gateway</h1></center></body></html>`);
    return { status, headers: { 'content-type': 'text/html' }, body };
}

async function read(incoming) {
    const chunks = [];
    let size = 0;
    for await (const chunk of incoming) {
        size += chunk.length;
        if (size > BODY_MAX) throw new Error('the body is too long');
        chunks.push(chunk);
    }
    const [path, query = ''] = incoming.url.split(/\?(.*)/s);
    return { method: incoming.method, target: incoming.url, path, query, headers: incoming.headers, body: Buffer.concat(chunks) };
}

function send(response, { status, headers, body }) {
    // The caller may have gone, which is no reason not to have done the work.
    if (response.destroyed || response.writableEnded) return;
    const length = status === 204 ? {} : { 'content-length': body.length };
    response.writeHead(status, { ...headers, ...length });
    response.end(status === 204 ? undefined : body);
}
