// A running platform for the tests of this directory, and what a merchant's program has.

import * as fs from 'node:fs';
import { createServer } from 'node:http';
import * as os from 'node:os';
import * as path from 'node:path';

import { start } from './start.mjs';

const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'platform-'));

export async function running(t) {
    const platform = await start({ directory });
    t.after(platform.stop);
    const call = async (method, name, value) => {
        const body = value === undefined ? undefined : JSON.stringify(value);
        const answer = await fetch(`${platform.baseUrl}/_sim/${name}`, { method, body });
        return { status: answer.status, ...wrap(await answer.json()) };
    };
    return {
        ...platform,
        read: (name) => fs.readFileSync(path.join(directory, name), 'utf8'),
        sim: (name, value) => call('POST', name, value),
        facts: () => call('GET', 'facts'),
        get: async (name) => (await call('GET', name)).list,
    };
}

function wrap(value) {
    return Array.isArray(value) ? { list: value } : { ...value, ...(value.status !== undefined && { answered: value.status }) };
}

// A merchant's address for notifications, which keeps what came and answers as told.
export async function receiver(t, answer = () => ({ status: 204, body: '' })) {
    const got = [];
    const server = createServer(async (incoming, response) => {
        const chunks = [];
        for await (const chunk of incoming) chunks.push(chunk);
        got.push({ headers: incoming.headers, body: Buffer.concat(chunks).toString() });
        const { status, body } = answer(got.length);
        response.writeHead(status).end(body);
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => {
        server.close();
        server.closeAllConnections();
    });
    return { got, url: `http://127.0.0.1:${server.address().port}/notify` };
}

process.on('exit', () => fs.rmSync(directory, { recursive: true, force: true }));
