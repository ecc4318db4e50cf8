export class Alipay {
    channel = 'alipay';

    reset() {}

    owns() {
        return false;
    }
}
