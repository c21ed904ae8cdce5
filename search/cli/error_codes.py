"""Every error code: what it says, why it comes up, what to do. docs/faq.md is made from these rows."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CODES", "ErrorCode"]


@dataclass(frozen=True)
class ErrorCode:
    """One kind of situation.

    Attributes:
        code: as the command prints it in brackets and the service returns it, such as LS-FOLDER-TAKEN.
        sentence: what is wrong, in general; the message itself names the file, key or value.
        cause: how it comes about.
        remedy: what to do.
    """

    code: str
    sentence: str
    cause: str
    remedy: str


_ROWS = (
    # The command
    ErrorCode("LS-ERROR", "A request is not possible.", "No more specific code applies.",
              "The message says what would be right."),
    ErrorCode("LS-USAGE", "The command line cannot be read.", "An option is unknown, lacks its value, or two exclude "
              "each other.", "`leni-search COMMAND --help` lists the options."),
    ErrorCode("LS-FILE", "A file cannot be read or written.", "The file is missing, the disk is full, or the output "
              "that was redirected cannot be written.", "Check the path, its permissions and the free space."),
    ErrorCode("LS-PACKAGE-MISSING", "An optional package is not installed.", "Trackers, ONNX, the service and some "
              "comparisons need packages that a plain install leaves out.", "Run the `pip install` of the message."),
    # Networks
    ErrorCode("LS-ACTIVATION", "An activation cannot be built or registered.", "An option has a value that the "
              "activation does not take, or a name is registered twice.", "Give one of the values of the message."),
    ErrorCode("LS-ACTIVATION-UNKNOWN", "There is no activation of this name.", "A spelling mistake, or the package "
              "that registers the activation is not installed.", "Take one of the names that the message lists."),
    ErrorCode("LS-SHAPE", "A tensor has another shape than a module was built for.", "The input has another number of "
              "channels or dimensions.", "Pass (N, C, H, W) with the channels that the module was built with."),
    ErrorCode("LS-PLACEMENT", "A placement cannot be read, or matches no call site.", "A term is misspelt, or the "
              "network has no site of that role or name.", "`leni-search sites NETWORK` lists the sites and roles."),
    ErrorCode("LS-NETWORK", "A network cannot be used as asked.", "A part of the network cannot be narrowed, swapped, "
              "measured or loaded.", "The message names the module; leave it out, or change it as the message says."),
    ErrorCode("LS-NETWORK-UNKNOWN", "There is no network of this name.", "The name is misspelt, or the module is not "
              "in the folder where the command is run.", "Name a network torchvision:NAME, timm:NAME or "
              "module:function."),
    ErrorCode("LS-NETWORK-COPY", "A network cannot be copied.", "Wrappers that share or shard parameters, lazy layers, "
              "scripted modules and old weight norms have no copy.", "Pass the network from before it was wrapped, or "
              "run it once, as the message says."),
    ErrorCode("LS-NETWORK-TRACE", "A forward pass cannot be traced.", "Control flow that depends on values cannot be "
              "followed by torch.fx.", "Move that part into a module of its own, or leave its sites out."),
    # Spaces and candidates
    ErrorCode("LS-CANDIDATE", "A candidate or a plan of candidates is impossible.", "A field is missing, unknown or "
              "has a value that no network can have.", "Give the fields that the message lists."),
    ErrorCode("LS-CANDIDATES-FILE", "A file of candidates cannot be read.", "`--enqueue` takes one JSON object on each "
              "line, or one JSON list.", "Correct the line or item that the message names."),
    ErrorCode("LS-WIDTH", "A width leaves a stage without a channel.", "The ratio is too small, or not divisible as "
              "the activation needs.", "Give at least the ratio of the message."),
    ErrorCode("LS-SPACE", "A search space cannot be read.", "A dimension has a value, a range or a condition that is "
              "not possible.", "Correct the dimension that the message names."),
    ErrorCode("LS-SPACE-UNKNOWN", "There is no search space of this name.", "The preset is misspelt, or the file does "
              "not end in .toml.", "`leni-search spaces` lists the presets."),
    # Specs
    ErrorCode("LS-SPEC", "A search cannot run as it is described.", "A key has an impossible value, or two keys "
              "exclude each other.", "Correct the key that the message names."),
    ErrorCode("LS-SPEC-KEY", "A spec has no such key.", "A key of the spec, or of its [training] table, is misspelt.",
              "The message has the nearest key; docs and `leni-search run --help` have all."),
    ErrorCode("LS-SPEC-FILE", "A spec's file cannot be read.", "The file is missing, or is not TOML.",
              "Check the path, and the line that the message names."),
    ErrorCode("LS-SPEC-LIMITS", "The limits on parameters or multiply-adds admit no network of the space.", "A limit "
              "is below the smallest network of the space or above the largest, or no network lies between two limits.",
              "Change the limit to the value of the message, or give the space other widths or backbones."),
    ErrorCode("LS-SPEC-OBJECTIVES", "The objectives of a spec are not possible.", "An objective is unknown, is named "
              "twice, or has no direction.", "Write NAME:max or NAME:min for an evaluator's; ours are accuracy, "
              "params, macs, latency_ms and others that `leni-search run --help` lists."),
    ErrorCode("LS-SAMPLER-UNKNOWN", "There is no sampler of this name.", "The name is misspelt.",
              "Take one of the names that the message lists."),
    ErrorCode("LS-PROXY-UNKNOWN", "There is no zero-cost proxy of this name.", "The name is misspelt.",
              "Take some of the names that the message lists."),
    ErrorCode("LS-PRUNER-UNKNOWN", "There is no pruner of this name.", "The name is misspelt.",
              "Take one of the names that the message lists."),
    ErrorCode("LS-WARM-START", "A run's trials cannot be taken over.", "The other run had other data, another recipe "
              "or other objectives, so that its results do not compare.", "Use the same settings, or start without."),
    ErrorCode("LS-PRIOR", "An earlier run has no information for this search.",
              "It has no objective in common with this one "
              "that has to be measured, no dimension of its space, or too few completed trials.", "Give a run over the "
              "same space with the same objective; its data and recipe may differ."),
    ErrorCode("LS-SECRET", "A password or token of an address is missing.", "Secrets are not kept in spec.toml; an "
              "environment variable that the address names is not set.", "Set the variable, PGPASSWORD or ~/.pgpass; "
              "an address takes $NAME in place of a secret."),
    ErrorCode("LS-RESOURCES", "A trial asks for more CPUs or GPUs than there are.", "`--cpus-per-trial` or "
              "`--gpus-per-trial` is above what this machine, its CPU mask and its control group, or the cluster has.",
              "Ask for less, or join a cluster with --address."),
    ErrorCode("LS-RAY-JOIN", "A Ray cluster cannot be joined.", "There is no cluster at the address, it does not "
              "answer, or it asks for a token.", "Check --address with `ray status`; set RAY_AUTH_MODE=token if it "
              "asks for one."),
    ErrorCode("LS-TRACKER", "An experiment tracker cannot start.", "Its server does not answer, or nobody is logged "
              "in.", "Log in, or set the tracker's address, as its own documentation says."),
    # Evaluators and trainings
    ErrorCode("LS-EVALUATOR", "A user's function cannot be imported.", "The module is not in the folder where the "
              "command is run, an import in it fails, or an installed module has the name of one of its own.",
              "Run the command beside the module, install what it imports, or rename the file of the message."),
    ErrorCode("LS-COSTS", "A cost that should be known before a trial cannot be used.",
              "An expression of [space.known], a "
              "function of `costs` or one marked with @search.known gives no finite number, other names or another "
              "value for the same configuration, or refuses every configuration.", "Return the same finite numbers by "
              "name for every configuration, and raise search.Impossible for an impossible one."),
    ErrorCode("LS-IMPOSSIBLE", "A configuration is impossible.", "A function of `costs` refuses it.",
              "Take another configuration; a search does so by itself."),
    ErrorCode("LS-EVALUATION", "A training or an export has no usable result.",
              "The state or the file does not belong to "
              "the network.", "The message says what differs."),
    ErrorCode("LS-EVALUATION-METRICS", "A user's function returned something that is no result.", "An objective is "
              "missing, is not a finite number, or differs between seeds where it must not.", "Return a mapping with "
              "a finite number for every objective."),
    ErrorCode("LS-EVALUATION-DIVERGED", "A training's loss is not finite.", "The learning rate is too high for this "
              "network.", "Lower lr or search lr_factor; the trial counts as failed."),
    # Data
    ErrorCode("LS-DATA", "A data set or a table is not in the form that was expected.", "Files are truncated, corrupt "
              "or of another kind, or a split is not possible.", "Fetch the file that the message names again, or "
              "choose other sizes."),
    ErrorCode("LS-DATA-UNKNOWN", "There is no data set of this name.", "The name is misspelt.",
              "`leni-search data` lists the data sets."),
    ErrorCode("LS-DATA-MISSING", "A data set's files are not here.", "Nothing is downloaded unless it is asked for.",
              "Name the folder with --data-folder, or add --download."),
    ErrorCode("LS-DATA-DOWNLOAD", "A data set cannot be downloaded.", "There is no network, no folder was named, or "
              "its licence forbids it.", "Fetch the files by hand into the folder."),
    ErrorCode("LS-DATA-IMAGE", "An image cannot be decoded.", "The file is truncated, or is no image.",
              "Remove or replace the file that the message names."),
    ErrorCode("LS-DATA-MEMORY", "The data set would take more than half of the memory.", "Images are kept in memory "
              "at their full size; a container's limit counts.", "Give a smaller --image-size or --train-size."),
    ErrorCode("LS-DATA-CACHE", "The cache of decoded images cannot be used.", "Its folder cannot be written, or the "
              "disk is full.", "Free some space, or name another folder for the cache."),
    # Run folders
    ErrorCode("LS-FOLDER", "A run's folder cannot be used as asked.", "The folder does not fit the command.",
              "Give the folder or file that the message describes."),
    ErrorCode("LS-FOLDER-TAKEN", "The folder already holds a run or other files.", "A new run never mixes with what "
              "is there.", "Give a new folder with --out, or continue with `leni-search resume DIR`."),
    ErrorCode("LS-FOLDER-BUSY", "Another process is at work in the folder.", "A run has one driver, and a folder of "
              "searches one service.", "Wait for the other process, or stop it; the message names it."),
    ErrorCode("LS-FOLDER-NO-RUN", "The folder holds no run.", "The path is wrong, or the run was refused before it "
              "began.", "Give the folder that holds spec.toml and environment.json."),
    ErrorCode("LS-FOLDER-WRITE", "A folder or file cannot be made or written.", "Permissions, a full disk, or a file "
              "system that is read-only.", "Give another folder, or free some space; continue the run with "
              "`leni-search resume DIR`."),
    ErrorCode("LS-FOLDER-NO-LOCKS", "The file system has no locks.", "Some network file systems are mounted without "
              "them, so nothing would keep a second process from driving the same run.", "Give another folder, or "
              "--no-lock where no other process uses it."),
    ErrorCode("LS-FOLDER-DAMAGED", "A file of a run's folder is not what a run writes.", "The file was changed or cut.",
              "Restore the file from a copy."),
    ErrorCode("LS-FOLDER-LINK", "A file of a run's folder is a link out of the folder.", "A folder from somebody else "
              "must not lead to files of yours.", "Put the file itself in the link's place."),
    ErrorCode("LS-PATH", "A text is not a valid path.", "There is no such home folder, links go in a circle, the "
              "current folder was removed, or the text holds a null character.", "Give an absolute path."),
    ErrorCode("LS-SCRATCH", "There is no place for Ray's temporary files.", "TMPDIR, /tmp, /var/tmp and /dev/shm "
              "are full, cannot be written, or have paths that are too long for a socket.", "Free some space, or "
              "set TMPDIR to a short path."),
    ErrorCode("LS-CHECKPOINTS", "Checkpoints cannot be written or read.", "The address is of a kind that fsspec does "
              "not know here, it refuses, or a checkpoint is damaged.", "Check --checkpoints and its credentials."),
    ErrorCode("LS-TRIAL", "A run has no such trial, or no result of it.", "The number is wrong, or the trial failed or "
              "was stopped early.", "Take a completed trial; `leni-search front DIR` shows the front's."),
    ErrorCode("LS-RUN-MIXED", "A folder holds trainings that do not compare with these.", "Seeds, epochs, data or "
              "recipe differ from those of the earlier trainings.", "Ask for the same, or give another --out."),
    # Databases
    ErrorCode("LS-STORAGE", "A database is not as expected.", "It is of another version, or lost data that it "
    "had accepted.",
              "Use the leni-search that wrote it."),
    ErrorCode("LS-STORAGE-OPEN", "A database cannot be opened.", "The address or the password is wrong, the server is "
              "down, or the driver is not installed.", "Check the address; a password comes from PGPASSWORD, ~/.pgpass "
              "or $NAME in the address."),
    ErrorCode("LS-STORAGE-SILENT", "A database has not answered for too long.", "The server or the network is down; "
              "the run has waited --patience-s seconds.", "Bring it back, then `leni-search resume DIR`."),
    ErrorCode("LS-STORAGE-TAKEN", "A database already holds a study of this name.", "Two runs of one folder name share "
              "the database.", "Give another folder with --out."),
    # Results
    ErrorCode("LS-RESULTS", "Results cannot be computed or saved as asked.", "An option is outside of its range, or a "
              "file's format is unknown.", "Give a value that the message allows."),
    ErrorCode("LS-RUN", "A run's results cannot be read.", "A file is damaged or half written.", "Write it again: "
              "`leni-search resume DIR` makes the records from study.db."),
    ErrorCode("LS-RUN-NO-RESULTS", "A folder has no results yet.", "The path is wrong, or no trial has ended.",
              "Wait for the first trial, or `leni-search resume DIR`."),
    ErrorCode("LS-RUN-SCHEMA", "Results are of another schema version.", "A newer leni-search wrote them, or columns "
              "were removed.", "Upgrade leni-search."),
    ErrorCode("LS-RECORD", "Records lack something that this analysis needs.", "A column is missing, or rows are not "
              "as a run writes them.", "Use records of a whole run."),
    ErrorCode("LS-OBJECTIVE", "Objectives cannot be computed from these records.", "A column is missing or not "
              "numeric, or an objective has no direction or bounds.", "Name columns with --objectives NAME:max,..."),
    # The service
    ErrorCode("LS-SERVICE", "The service refused a request, or its answer cannot be used.", "The address or the file "
              "that it names is not possible.", "Check --server and the search's identifier."),
    ErrorCode("LS-SERVICE-SILENT", "The service does not answer.", "It is not running, or cannot be reached from "
              "here.", "Check --server, and that `leni-search serve` runs there."),
    ErrorCode("LS-SERVICE-NOT-ALLOWED", "The service does not take this spec.", "A submitted spec may name no files, "
              "and only the evaluators, data folders and sizes that the service was started with.", "Change the spec, "
              "or start the service with --allow-evaluator or --allow-data-folder."),
    ErrorCode("LS-SERVICE-TOKEN", "A token is needed or unknown.", "A service that others can reach needs one.",
              "`leni-search token create NAME --role admin` makes one; `leni-search token list` lists them."),
    ErrorCode("LS-HTTP-400", "A request cannot be read.", "Its body or a header is malformed.", "Send what the API's "
              "document describes."),
    ErrorCode("LS-HTTP-401", "A request has no valid token.", "The token is missing, expired or revoked.", "Send "
              "`Authorization: Bearer TOKEN`."),
    ErrorCode("LS-HTTP-403", "A token may not do this.", "Its role does not allow it, it is for another search, or the "
              "request comes from another site.", "Use a token of a higher role."),
    ErrorCode("LS-HTTP-404", "There is nothing at this address.", "The search does not exist, or has not written the "
              "file yet.", "Check the identifier, or wait."),
    ErrorCode("LS-HTTP-405", "An address does not take this method.", "Another method was meant.", "Use one of those "
              "in the Allow header."),
    ErrorCode("LS-HTTP-409", "A request conflicts with the search's state.", "A key was used for another spec, or the "
              "search has ended.", "Use a new key, or look at the search's state."),
    ErrorCode("LS-HTTP-413", "A request is too large.", "The body is over the service's limit.", "Send a smaller "
              "spec."),
    ErrorCode("LS-HTTP-415", "A request's body is of another type.", "The Content-Type is not JSON.", "Send "
              "application/json."),
    ErrorCode("LS-HTTP-421", "The service is not known by this name.", "The Host header matches none of its names.",
              "Start "
              "the service with --host-name NAME, or --trusted-proxy behind a proxy."),
    ErrorCode("LS-HTTP-422", "A request is understood and not possible.", "A value is outside of what is allowed.",
              "Correct the value that the message names."),
    ErrorCode("LS-HTTP-429", "There are too many requests.", "A caller is over the rate or the number of streams.",
              "Wait as long as Retry-After says."),
    ErrorCode("LS-HTTP-431", "A request's headers are too large.", "Cookies or a token are too long.", "Send fewer "
              "headers."),
    ErrorCode("LS-HTTP-500", "The service had an internal error.", "A defect of the program.", "Look up the request's "
              "identifier in the server's log."),
    ErrorCode("LS-HTTP-503", "The service cannot answer now.", "Its database is busy, unreachable or full.",
              "Try again; "
              "nothing has been changed."),
)  # fmt: skip
CODES = {row.code: row for row in _ROWS}
