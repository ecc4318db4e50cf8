// Plays WeChat Pay, Alipay and UnionPay for tests and for developers. See README.md.

import { parseArgs } from 'node:util';

import { start } from './start.mjs';

const { values } = parseArgs({
    options: {
        dir: { type: 'string' },
        keys: { type: 'string' },
        listen: { type: 'string', default: '127.0.0.1:0' },
        'notify-base': { type: 'string', default: 'http://127.0.0.1:8080' },
        'until-stdin-closes': { type: 'boolean', default: false },
    },
});
if (!values.dir) {
    process.stderr.write('usage: node main.mjs --dir DIR [--keys DIR] [--listen 127.0.0.1:0] [--notify-base URL] [--until-stdin-closes]\n');
    process.exit(2);
}

const running = await start({
    directory: values.dir, keysDirectory: values.keys ?? values.dir, listen: values.listen, notifyBase: values['notify-base'],
});
process.stdout.write(`listening on ${running.baseUrl}\n`);
const stop = () => process.exit(0);
process.on('SIGTERM', stop);
process.on('SIGINT', stop);
if (values['until-stdin-closes']) process.stdin.on('end', stop).on('error', stop).resume();
