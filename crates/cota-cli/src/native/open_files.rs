use rustix::process::{Resource, getrlimit, setrlimit};

/// Lets this process open as many files and sockets as the system allows: what it is given by default is used up by a thousand
/// clients, and who gets none of them is nobody's fault.
pub fn allow_open_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}
