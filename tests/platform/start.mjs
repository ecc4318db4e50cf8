// Puts the parts together.

import { once } from 'node:events';

import { Alipay } from './alipay.mjs';
import { writeConfig } from './config.mjs';
import { Control } from './control.mjs';
import { Faults } from './faults.mjs';
import { IDS, loadKeys } from './keys.mjs';
import { Notifier } from './notifier.mjs';
import { serve } from './server.mjs';
import { Unionpay } from './unionpay.mjs';
import { Wechat } from './wechat.mjs';
import { World } from './world.mjs';

export async function start({ directory, keysDirectory = directory, listen = '127.0.0.1:0', notifyBase = 'http://127.0.0.1:8080' }) {
    const keys = { ids: IDS, ...await loadKeys(keysDirectory) };
    const world = new World({ keys, baseUrl: '' });
    const faults = new Faults();
    const notifier = new Notifier(world, faults);
    const platforms = [Wechat, Alipay, Unionpay].map((Platform) => new Platform(world, notifier));
    const control = new Control({ world, faults, notifier, platforms });
    const server = serve({ world, faults, platforms, control });
    const [, host, port] = /^(.*):(\d+)$/.exec(listen);
    server.listen(Number(port), host);
    await once(server, 'listening');
    world.baseUrl = `http://${host}:${server.address().port}`;
    writeConfig(directory, { keys, baseUrl: world.baseUrl, notifyBase });
    const stop = () => {
        server.close();
        server.closeAllConnections();
    };
    return { baseUrl: world.baseUrl, keys, stop };
}
