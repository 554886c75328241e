// A network with a delay: what comes from either side goes on to the other half a round trip
// later, in order, whatever its size.
import { connect, createServer } from 'node:net';

function delay(from, to, ms) {
    from.on('data', (bytes) => setTimeout(() => to.writable && to.write(bytes), ms));
    from.on('end', () => setTimeout(() => to.end(), ms));
    from.on('error', () => to.destroy());
    from.on('close', () => setTimeout(() => to.destroy(), 2 * ms));
}

// Before the server of a URL; `url` is then the way through it.
export async function openRelay(target, rttMs) {
    const { hostname, port } = new URL(target);
    const sockets = new Set();
    const server = createServer({ noDelay: true }, (client) => {
        const upstream = connect({ host: hostname, port: Number(port), noDelay: true });
        for (const socket of [client, upstream]) {
            sockets.add(socket);
            socket.on('close', () => sockets.delete(socket));
        }
        delay(client, upstream, rttMs / 2);
        delay(upstream, client, rttMs / 2);
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = new URL(target);
    url.hostname = '127.0.0.1';
    url.port = String(server.address().port);
    return {
        url: url.href,
        close() {
            server.close();
            sockets.forEach((socket) => socket.destroy());
        },
    };
}
