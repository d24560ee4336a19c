#pragma once

#include "Settings.h"

#include <matrixos/instance_spec.hpp>

#include <map>
#include <string>
#include <vector>

namespace matrixos::processes {

/// Where an instance works: its first volume, else "/".
std::string homeOf(const InstanceSpec &spec);

/// All of an instance's environment: the spec's, with HOME and MATRIXOS_HOME at its home, and its host ports in place
/// of the ports that it would have in a container: PORT for "gateway", SHELL_PORT for "shell", <NAME>_PORT for others.
/// BIND is the address to listen on. URLs that name a host alias name this machine instead.
std::map<std::string, std::string> environmentOf(const InstanceSpec &spec);

/// The words to run: the spec's command where it has one and may, else the configured one through the shell. Throws
/// Error(PermissionDenied, COMMAND_DENIED).
std::vector<std::string> commandOf(const InstanceSpec &spec, const Settings &settings);

/// The program that a shell text begins with, "" when that takes a shell to tell.
std::string firstProgram(const std::string &command);

} // namespace matrixos::processes
