//! A network of its own for one program: a namespace with two links to us, of which one can be cut.

use std::ffi::OsStr;
use std::fs::File;
use std::net::Ipv4Addr;
use std::process::Command;

use crate::Failure;

/// How many there can be at a time on one machine.
const MOST: u8 = 250;
/// What one link lets through while it is throttled: the kernel's token bucket.
const THROTTLED: &str = "rate 512kbit burst 4kb latency 2s";

/// A namespace, until this is dropped. Addresses are of 10.200.N.0/24, N being its number.
#[derive(Debug)]
pub(super) struct Network {
    number: u8,
    name: String,
    /// Held for as long as the number is ours. The system lets go of it when this process ends, in
    /// whatever way: then the next one clears away what is left.
    _lock: File,
}

/// Which of the two links.
#[derive(Clone, Copy)]
enum Link {
    /// To clients, and to the API behind the gate.
    Front,
    /// To the issuer.
    Issuer,
}

impl Link {
    /// The names of its ends, on our side and on the other.
    fn ends(self, number: u8) -> (String, &'static str) {
        match self {
            Self::Front => (format!("chaos{number}f"), "front"),
            Self::Issuer => (format!("chaos{number}i"), "issuer"),
        }
    }

    /// The last parts of the addresses of its ends.
    fn addresses(self) -> (u8, u8) {
        match self {
            Self::Front => (1, 2),
            Self::Issuer => (5, 6),
        }
    }
}

impl Network {
    /// Makes one.
    ///
    /// # Errors
    /// When we are not allowed to.
    pub(super) fn make() -> Result<Self, Failure> {
        let (number, lock) = free_number()?;
        let network = Self { number, name: format!("postern-chaos-{number}"), _lock: lock };
        network.clear();
        ip(&format!("netns add {}", network.name))?;
        for link in [Link::Front, Link::Issuer] {
            network.connect(link)?;
        }
        ip(&format!("-n {} link set lo up", network.name))?;
        Ok(network)
    }

    /// Where the program listens to us.
    pub(super) fn inside(&self) -> Ipv4Addr {
        self.address(Link::Front.addresses().1)
    }

    /// Where we listen to the program's calls of its API.
    pub(super) fn front(&self) -> Ipv4Addr {
        self.address(Link::Front.addresses().0)
    }

    /// Where we listen to its calls of the issuer.
    pub(super) fn issuer_side(&self) -> Ipv4Addr {
        self.address(Link::Issuer.addresses().0)
    }

    /// A command that runs a program in it.
    pub(super) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// Takes the link to the issuer down: what is sent gets lost, and nobody is told.
    pub(super) fn cut(&self) -> Result<(), Failure> {
        ip(&format!("link set {} down", Link::Issuer.ends(self.number).0))
    }

    /// Takes it up again.
    pub(super) fn mend(&self) -> Result<(), Failure> {
        ip(&format!("link set {} up", Link::Issuer.ends(self.number).0))
    }

    /// Lets only a little through the link to the issuer. (`netem`, which also delays, is not in every
    /// kernel; the token bucket is.)
    pub(super) fn throttle(&self) -> Result<(), Failure> {
        let device = Link::Issuer.ends(self.number).0;
        run("tc", &format!("qdisc replace dev {device} root tbf {THROTTLED}"))
    }

    /// Lets everything through again.
    pub(super) fn unthrottle(&self) -> Result<(), Failure> {
        run("tc", &format!("qdisc del dev {} root", Link::Issuer.ends(self.number).0))
    }

    fn connect(&self, link: Link) -> Result<(), Failure> {
        let ((ours, theirs), (us, them)) = (link.ends(self.number), link.addresses());
        let name = &self.name;
        ip(&format!("link add {ours} type veth peer name {theirs} netns {name}"))?;
        ip(&format!("addr add {}/30 dev {ours}", self.address(us)))?;
        ip(&format!("-n {name} addr add {}/30 dev {theirs}", self.address(them)))?;
        ip(&format!("link set {ours} up"))?;
        ip(&format!("-n {name} link set {theirs} up"))
    }

    fn address(&self, last: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 200, self.number, last)
    }

    /// Errors mean that there is nothing to clear away.
    fn clear(&self) {
        let _ = ip(&format!("netns del {}", self.name));
        for link in [Link::Front, Link::Issuer] {
            let _ = ip(&format!("link del {}", link.ends(self.number).0));
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.clear();
    }
}

/// A number that no other process on this machine has.
fn free_number() -> Result<(u8, File), Failure> {
    let start = u8::try_from(std::process::id() % u32::from(MOST)).unwrap_or_default();
    for offset in 0..MOST {
        let number = u8::try_from((u16::from(start) + u16::from(offset)) % u16::from(MOST));
        let number = number.unwrap_or_default();
        let path = std::env::temp_dir().join(format!("postern-chaos-{number}.lock"));
        let file = File::options().create(true).write(true).truncate(false).open(path);
        let file = file.map_err(Failure::while_doing("a lock of a network's number"))?;
        if file.try_lock().is_ok() {
            return Ok((number, file));
        }
    }
    Err(Failure::new("all numbers of networks are taken"))
}

fn ip(words: &str) -> Result<(), Failure> {
    run("ip", words)
}

fn run(program: &str, words: &str) -> Result<(), Failure> {
    let output = Command::new(program).args(words.split(' ')).output();
    let output = output.map_err(Failure::while_doing(program))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Failure::new(format!("`{program} {words}` failed: {}", said.trim())))
}
