() => {
    document.addEventListener('keydown', event => {
        if (event.key === 'Enter' && (event.ctrlKey || event.metaKey))
            document.querySelector(event.target.closest('#batch') ? '#generate_lines' : '#generate').click();
    });

    // Plays speech while it is made: 16-bit pieces, each after the one before. A piece that comes late is
    // played at once; what a hidden tab was not told of is left out here and is in the finished take.
    // Browsers make sound only after the visitor has touched the page.
    let context = null, take = null, silent = false, end = 0, playing = [];
    const wake = () => { context ??= new AudioContext(); context.resume(); };
    for (const kind of ['pointerdown', 'keydown']) document.addEventListener(kind, wake, true);
    const stop = () => {
        for (const source of playing) source.stop();
        [silent, playing] = [true, []];
    };
    const play = message => {
        if (!message) return;
        const piece = JSON.parse(message);
        if (piece.take !== take) {
            stop();
            [take, end] = [piece.take, 0];
            silent = !context || !document.querySelector('#aloud input').checked;
        }
        if (silent) return;
        const bytes = Uint8Array.from(atob(piece.samples), character => character.charCodeAt(0));
        const samples = Float32Array.from(new Int16Array(bytes.buffer), value => value / 32768);
        const buffer = context.createBuffer(1, samples.length, piece.rate);
        buffer.copyToChannel(samples, 0);
        const source = context.createBufferSource();
        source.buffer = buffer;
        source.connect(context.destination);
        end = Math.max(end, context.currentTime + 0.05);
        source.start(end);
        end += buffer.duration;
        playing.push(source);
    };
    window.live = {play, stop};
}
