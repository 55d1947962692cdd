//! The load: keep-alive connections that each send the next request when the answer has come.
//!
//! It never sleeps, so that the server's core has nobody to wake and what a request costs does not
//! depend on how busy the load is.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use mio::{Events, Interest, Poll, Token, net::TcpStream};

use super::cores;
use super::origin::Origin;
use super::requests::is_complete;

/// How many connections there are at once.
pub const CONNECTIONS: usize = 16;
/// No answer for so long is a failure.
const LIMIT: Duration = Duration::from_secs(20);
/// The part at the beginning that does not count, as a divisor.
const RAMP: u32 = 10;

/// What to send: requests as they go over the wire, until there are no more or time is up.
pub struct Plan<'a> {
    /// The requests, in their order.
    pub requests: Box<dyn Iterator<Item = &'a [u8]> + Send + 'a>,
    /// How long at most.
    pub limit: Duration,
    /// How many connections there are at once.
    pub connections: usize,
}

/// What was seen, the ramp left out.
#[derive(Debug, Default)]
pub struct Sample {
    /// How many requests were answered.
    pub requests: usize,
    /// How long it took.
    pub elapsed: Duration,
    /// What the server spent.
    pub cpu: Duration,
    /// From the first byte sent to the last one read, ascending.
    pub latencies: Vec<Duration>,
}

/// As long as there are requests, over the usual number of connections.
pub fn unlimited<'a>(requests: impl Iterator<Item = &'a [u8]> + Send + 'a) -> Plan<'a> {
    Plan { requests: Box::new(requests), limit: Duration::from_secs(600), connections: CONNECTIONS }
}

/// Sends a plan to a server.
///
/// # Errors
/// When an answer is not 200, or does not come.
pub fn run(server: SocketAddr, process: u32, plan: Plan<'_>) -> Result<Sample> {
    run_before(None, server, process, plan)
}

/// Sends a plan to a server that has another one behind it.
///
/// # Errors
/// When an answer is not 200, or does not come.
pub fn run_before(
    origin: Option<&mut Origin>,
    server: SocketAddr,
    process: u32,
    plan: Plan<'_>,
) -> Result<Sample> {
    cores::on_core(cores::LOAD, move || {
        let mut generator = Generator::connect(server, process, plan)?;
        generator.run(origin)?;
        generator.sample()
    })
}

struct Generator<'a> {
    process: u32,
    plan: Plan<'a>,
    poll: Poll,
    connections: Vec<Connection>,
    in_flight: usize,
    started: Instant,
    /// How many answers belong to the ramp, where the requests are counted.
    ramp: Option<usize>,
    answers: usize,
    counting: Option<(Instant, Duration)>,
    latencies: Vec<Duration>,
}

struct Connection {
    stream: TcpStream,
    sent: Instant,
    answer: Vec<u8>,
}

impl<'a> Generator<'a> {
    fn connect(server: SocketAddr, process: u32, plan: Plan<'a>) -> Result<Self> {
        let poll = Poll::new()?;
        let mut connections = Vec::new();
        for index in 0..plan.connections {
            let stream =
                std::net::TcpStream::connect(server).context("connecting to the server")?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            poll.registry().register(&mut stream, Token(index), Interest::READABLE)?;
            connections.push(Connection { stream, sent: Instant::now(), answer: Vec::new() });
        }
        let ramp = plan.requests.size_hint().1.map(|count| count / RAMP as usize);
        Ok(Self {
            process,
            plan,
            poll,
            connections,
            in_flight: 0,
            started: Instant::now(),
            ramp,
            answers: 0,
            counting: None,
            latencies: Vec::new(),
        })
    }

    /// Until every request is answered.
    fn run(&mut self, mut origin: Option<&mut Origin>) -> Result<()> {
        for index in 0..self.connections.len() {
            self.send(index)?;
        }
        let mut events = Events::with_capacity(self.connections.len());
        while self.in_flight > 0 {
            self.poll.poll(&mut events, Some(Duration::ZERO))?;
            for event in &events {
                self.receive(event.token().0)?;
            }
            if let Some(origin) = &mut origin {
                origin.serve()?;
            }
            ensure!(self.started.elapsed() < self.plan.limit + LIMIT, "the server does not answer");
        }
        Ok(())
    }

    /// The next request, if there is one.
    fn send(&mut self, index: usize) -> Result<()> {
        if self.started.elapsed() > self.plan.limit {
            return Ok(());
        }
        let connection = self.connections.get_mut(index).context("no such connection")?;
        if let Some(request) = self.plan.requests.next() {
            connection.sent = Instant::now();
            // An empty socket takes a request as a whole.
            connection.stream.write_all(request).context("sending to the server")?;
            self.in_flight += 1;
        }
        Ok(())
    }

    fn receive(&mut self, index: usize) -> Result<()> {
        let connection = self.connections.get_mut(index).context("no such connection")?;
        if !connection.receive()? {
            return Ok(());
        }
        let latency = connection.sent.elapsed();
        self.in_flight -= 1;
        self.answers += 1;
        self.send(index)?;
        if self.counting.is_some() {
            self.latencies.push(latency);
        } else if self.ramp_is_over() {
            self.counting = Some((Instant::now(), cores::cpu_time(self.process)?));
        }
        Ok(())
    }

    fn ramp_is_over(&self) -> bool {
        self.started.elapsed() >= self.plan.limit / RAMP
            || self.ramp.is_some_and(|answers| self.answers > answers)
    }

    fn sample(mut self) -> Result<Sample> {
        let (since, cpu) = self.counting.context("there were too few requests")?;
        self.latencies.sort_unstable();
        Ok(Sample {
            requests: self.latencies.len(),
            elapsed: since.elapsed(),
            cpu: cores::cpu_time(self.process)?.saturating_sub(cpu),
            latencies: self.latencies,
        })
    }
}

impl Connection {
    /// Reads what is there; whether the answer is complete.
    fn receive(&mut self) -> Result<bool> {
        let mut bytes = [0; 4096];
        match self.stream.read(&mut bytes) {
            Ok(0) => bail!("the server closed a connection after {}", lossy(&self.answer)),
            Ok(count) => self.answer.extend(bytes.iter().take(count)),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error).context("receiving from the server"),
        }
        if !is_complete(&self.answer) {
            return Ok(false);
        }
        ensure!(self.answer.starts_with(b"HTTP/1.1 200 "), "answered {}", lossy(&self.answer));
        self.answer.clear();
        Ok(true)
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
