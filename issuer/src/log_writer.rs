//! The log, written by a thread of its own: whatever becomes of its reader, requests go on.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

/// How many lines wait for a slow reader; what comes on top of them is lost, and counted.
const WAITING_LINES: usize = 1024;
/// How long the end of the process may be held up by lines that still wait.
const FLUSH_LIMIT: Duration = Duration::from_secs(1);
const FLUSH_PAUSE: Duration = Duration::from_millis(10);

/// Hands over lines, and neither waits nor fails.
#[derive(Clone)]
pub(crate) struct LogWriter {
    messages: SyncSender<Message>,
    lost: Arc<AtomicU64>,
}

/// Writes the lines that still wait when it is dropped.
pub(crate) struct FlushOnDrop(SyncSender<Message>);

enum Message {
    Line(Vec<u8>),
    /// Everything before it is written: the sender hangs up.
    Flush(SyncSender<()>),
}

impl LogWriter {
    /// Starts the thread that writes to `sink`.
    pub(crate) fn start(sink: impl Write + Send + 'static) -> io::Result<(Self, FlushOnDrop)> {
        let (messages, waiting) = sync_channel(WAITING_LINES);
        let lost = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&lost);
        let work = move || write_all(&waiting, sink, &counted);
        thread::Builder::new().name("log".to_owned()).spawn(work)?;
        Ok((Self { messages: messages.clone(), lost }, FlushOnDrop(messages)))
    }
}

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.messages.try_send(Message::Line(line.to_vec())).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for FlushOnDrop {
    fn drop(&mut self) {
        let deadline = Instant::now() + FLUSH_LIMIT;
        let (done, written) = sync_channel(0);
        let mut flush = Message::Flush(done);
        while let Err(TrySendError::Full(refused)) = self.0.try_send(flush) {
            if Instant::now() >= deadline {
                return;
            }
            flush = refused;
            thread::sleep(FLUSH_PAUSE);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let _: Result<(), RecvTimeoutError> = written.recv_timeout(left);
    }
}

/// A line that cannot be written is lost: there is nowhere left to say so.
fn write_all(waiting: &Receiver<Message>, mut sink: impl Write, lost: &AtomicU64) {
    while let Ok(message) = waiting.recv() {
        match message {
            Message::Line(line) => drop(sink.write_all(&line)),
            Message::Flush(done) => drop(done),
        }
        let lost = lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let _ = writeln!(sink, "{lost} log lines were lost: the reader was too slow");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Holds every write up until it is let go, and keeps what was written.
    #[derive(Clone, Default)]
    struct Sink {
        gate: Arc<Mutex<()>>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Sink {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            let _open = self.gate.lock().unwrap();
            self.written.lock().unwrap().write(line)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_are_written_in_order_and_before_the_end() {
        let sink = Sink::default();
        let (mut writer, end) = LogWriter::start(sink.clone()).unwrap();
        for line in 0..100 {
            writeln!(writer, "{line}").unwrap();
        }
        drop(end);
        let written = String::from_utf8(sink.written.lock().unwrap().clone()).unwrap();
        let written: Vec<u32> = written.lines().map(|line| line.parse().unwrap()).collect();
        assert!(written.into_iter().eq(0..100));
    }

    #[test]
    fn a_stalled_reader_costs_lines_and_no_time() {
        let sink = Sink::default();
        let (mut writer, end) = LogWriter::start(sink.clone()).unwrap();
        let stalled = sink.gate.lock().unwrap();
        for _ in 0..WAITING_LINES * 2 {
            assert_eq!(writer.write(b"x\n").unwrap(), 2);
        }
        assert!(writer.lost.load(Ordering::Relaxed) >= 1000);
        drop(stalled);
        drop(end);
        let written = String::from_utf8(sink.written.lock().unwrap().clone()).unwrap();
        assert!(written.contains("log lines were lost"), "{written}");
    }

    #[test]
    fn the_end_does_not_wait_for_a_stalled_reader() {
        let sink = Sink::default();
        let (mut writer, end) = LogWriter::start(sink.clone()).unwrap();
        let _stalled = sink.gate.lock().unwrap();
        for _ in 0..WAITING_LINES * 2 {
            writer.write_all(b"x\n").unwrap();
        }
        let start = Instant::now();
        drop(end);
        assert!(start.elapsed() < FLUSH_LIMIT * 3);
    }
}
