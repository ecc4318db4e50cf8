// The settlement file of UnionPay: a ZIP, deflated again, in Base64, with lines of fixed columns in GBK.

import { deflateSync } from 'node:zlib';

import { zipSync } from 'fflate';
import iconv from 'iconv-lite';

import { Bills } from './bills.mjs';
import { compact, day, fromDay } from './china_time.mjs';
import { exactly, object, text } from './fields.mjs';
import { common, settleDay } from './unionpay_orders.mjs';
import { business } from './world.mjs';

const READY_HOUR = 9;
// The lengths of the columns of a ZM file, as UnionPay's own sample code reads them, each with a space behind it.
const LENGTHS = [
    3, 11, 11, 6, 10, 19, 12, 4, 2, 21, 2, 32, 2, 6, 10, 13, 13, 4, 15, 2, 2, 6, 2, 4, 32, 1, 21, 15, 1, 15, 32, 13, 13, 8, 32, 13, 13, 12,
    2, 1, 32, 98,
];
const CODES = { '01': 'S22', '31': 'S31', '04': 'S30' };
const FEE_PER_MILLE = 6;

export class UnionpayBills extends Bills {
    constructor(platform) {
        super(platform.world);
        this.platform = platform;
        const { orderId: _orderId, ...fields } = common('76', '01');
        this.shape = object({ ...fields, settleDate: text({ max: 4, pattern: /^\d{4}$/ }), fileType: exactly('00') });
    }

    file(asked, checkTime) {
        this.shape(asked);
        checkTime('txnTime');
        const date = this.#lastDay(asked.settleDate);
        const rows = this.spoiled(date, this.#entries().filter(({ at_ms }) => settleDay(at_ms) === date));
        const missing = !this.isReady(date, READY_HOUR) || this.tampered(date) === 'not_ready' || rows.length === 0;
        if (missing) throw business('98', '文件不存在');
        const merId = this.world.keys.ids.unionpayMerchantId;
        const stem = `${date.slice(2).replaceAll('-', '')}88`;
        const lines = rows.map((row) => `${line(row, merId)}\r\n`).join('');
        const zip = zipSync({ [`INN${stem}ZM_${merId}`]: new Uint8Array(iconv.encode(lines, 'gbk')), [`INN${stem}ZME_${merId}`]: new Uint8Array() });
        const content = deflateSync(zip);
        // There is no hash beside the file but the checksums within it.
        if (this.tampered(date) === 'bad_hash') content[content.length - 1] ^= 1;
        return { fileName: `${merId}_${date.replaceAll('-', '')}.zip`, fileContent: content.toString('base64') };
    }

    // A date without a year: the last such day.
    #lastDay(settleDate) {
        const today = day(this.world.now());
        const [year, monthDay] = [Number(today.slice(0, 4)), `${settleDate.slice(0, 2)}-${settleDate.slice(2)}`];
        const date = `${monthDay > today.slice(5) ? year - 1 : year}-${monthDay}`;
        if (fromDay(date) === null) throw business('98', '文件不存在');
        return date;
    }

    #entries() {
        const { orders, refunds } = this.platform;
        const paid = [...orders.all.values()].filter(({ paid_ms }) => paid_ms);
        const refunded = [...refunds.all.values()].filter(({ moves }) => moves);
        const entry = (transaction, no, at_ms) => ({
            at_ms, no, platform_no: transaction.platform_no, fen: transaction.amount_fen, request: transaction.request,
            original: transaction.order?.platform_no ?? '',
        });
        return [...paid.map((order) => entry(order, order.order_no, order.paid_ms)), ...refunded.map((one) => entry(one, one.refund_no, one.settled_ms))]
            .sort((one, other) => one.at_ms - other.at_ms);
    }
}

// Payments come in, and everything else goes out: `C` and `D` before the amounts.
function line({ at_ms, no, platform_no, fen, request, original }, merId) {
    const { txnType, txnSubType, bizType } = request;
    const incoming = txnType === '01';
    const fee = Math.round((fen * FEE_PER_MILLE) / 1000);
    const signed = (amount, comesIn) => `${comesIn ? 'C' : 'D'}${String(amount).padStart(12, '0')}`;
    const cells = {
        1: CODES[txnType], 2: '00049997', 3: '00049997', 4: platform_no.slice(-6), 5: compact(at_ms).slice(4), 6: '6216********0018',
        7: String(fen).padStart(12, '0'), 8: '8062', 9: '08', 10: platform_no, 12: no, 13: '01', 16: signed(fee, !incoming),
        17: signed(fen, incoming), 18: '0001', 20: txnType, 21: txnSubType, 22: bizType, 23: '01', 27: original, 28: merId, 33: signed(fen - fee, incoming),
        35: request.reqReserved ?? '', 36: signed(0, true),
    };
    return LENGTHS.map((length, index) => padded(cells[index + 1] ?? '', length)).join(' ');
}

function padded(value, length) {
    return value.slice(0, length).padEnd(length);
}
