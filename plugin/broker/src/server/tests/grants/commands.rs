//! What people do and what happens to the broker, in `random.rs` and `faults.rs`.

/// One thing that somebody does, or that happens to the broker. Requests and loans are meant by their place, modulo how many
/// there are.
#[derive(Debug, Clone)]
pub(super) enum Command {
    Wait(i64),
    SetWall(i64),
    DiskFull(bool),
    Restart,
    LookForTheUnheard,
    /// The revoker has its turn at AWS.
    CarryOut,
    /// The bundle has a guardrail more, or no more.
    Freeze(bool),
    Ask {
        who: usize,
        scope: usize,
        minutes: u32,
        glass: bool,
        key: Option<u8>,
        run: Option<u8>,
        keep: bool,
    },
    Approve {
        who: usize,
        request: usize,
        shorter: Option<u32>,
        lender: Option<usize>,
        other_digest: bool,
    },
    Deny {
        who: usize,
        request: usize,
    },
    Withdraw {
        who: usize,
        request: usize,
    },
    Issue {
        who: usize,
        request: usize,
        fault: Option<bool>,
    },
    Extend {
        who: usize,
        request: usize,
        minutes: u32,
    },
    Keep {
        who: usize,
        request: usize,
    },
    Release {
        who: usize,
        request: usize,
    },
    Revoke {
        who: usize,
        request: usize,
    },
    RevokePerson {
        who: usize,
        person: usize,
    },
    Review {
        who: usize,
        request: usize,
    },
    Lend {
        who: usize,
        to: usize,
        begins_s: i64,
        minutes: u32,
    },
    TakeBack {
        who: usize,
        loan: usize,
    },
}

impl Command {
    pub(super) fn verb(&self) -> &'static str {
        match self {
            Command::Wait(_) => "wait",
            Command::SetWall(_) => "set the clock",
            Command::DiskFull(_) => "fill the disk",
            Command::Restart => "restart",
            Command::LookForTheUnheard => "look for the unheard",
            Command::CarryOut => "carry ends out",
            Command::Freeze(_) => "change the bundle",
            Command::Ask { .. } => "ask",
            Command::Approve { .. } => "approve",
            Command::Deny { .. } => "deny",
            Command::Withdraw { .. } => "withdraw",
            Command::Issue { .. } => "issue",
            Command::Extend { .. } => "extend",
            Command::Keep { .. } => "keep",
            Command::Release { .. } => "release",
            Command::Revoke { .. } => "revoke",
            Command::RevokePerson { .. } => "revoke a person",
            Command::Review { .. } => "review",
            Command::Lend { .. } => "lend",
            Command::TakeBack { .. } => "take back",
        }
    }

    /// The place of who says it, if somebody does.
    pub(super) fn who(&self) -> Option<usize> {
        match self {
            Command::Wait(_)
            | Command::SetWall(_)
            | Command::DiskFull(_)
            | Command::Restart
            | Command::LookForTheUnheard
            | Command::CarryOut
            | Command::Freeze(_) => None,
            Command::Ask { who, .. }
            | Command::Approve { who, .. }
            | Command::Deny { who, .. }
            | Command::Withdraw { who, .. }
            | Command::Issue { who, .. }
            | Command::Extend { who, .. }
            | Command::Keep { who, .. }
            | Command::Release { who, .. }
            | Command::Revoke { who, .. }
            | Command::RevokePerson { who, .. }
            | Command::Review { who, .. }
            | Command::Lend { who, .. }
            | Command::TakeBack { who, .. } => Some(*who),
        }
    }

    /// The request it is about, counted from the newest.
    pub(super) fn request(&self) -> Option<usize> {
        match self {
            Command::Approve { request, .. }
            | Command::Deny { request, .. }
            | Command::Withdraw { request, .. }
            | Command::Issue { request, .. }
            | Command::Extend { request, .. }
            | Command::Keep { request, .. }
            | Command::Release { request, .. }
            | Command::Revoke { request, .. }
            | Command::Review { request, .. } => Some(*request),
            Command::Wait(_)
            | Command::SetWall(_)
            | Command::DiskFull(_)
            | Command::Restart
            | Command::LookForTheUnheard
            | Command::CarryOut
            | Command::Freeze(_)
            | Command::Ask { .. }
            | Command::RevokePerson { .. }
            | Command::Lend { .. }
            | Command::TakeBack { .. } => None,
        }
    }
}
