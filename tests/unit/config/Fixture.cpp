#include "unit/config/Fixture.h"

#include <sys/stat.h>

namespace matrixos::config::test {

namespace {

constexpr mos_config_key kEngine[] = {
    {"image", "string", "ghcr.io/example/instance:latest", nullptr, "Image of new instances.", 0, 0},
    {"memory", "size", "256MB", "16MB..64GB", "Memory of one instance.", 0, 0},
    {"cpus", "number", "0.5", "0.05..64", "Processors of one instance.", 0, 0},
    {"base_port", "int", "4001", "1..65535", "First port.", 0, 0},
    {"restart", "enum", "unless-stopped", "no|always|unless-stopped|on-failure", "When the engine restarts it.", 0, 0},
    {"idle_timeout", "duration", "30m", "1m..24h", "Idle time after which an instance is stopped.", MOS_KEY_LIVE, 0},
    {"token", "string", nullptr, nullptr, "Password of the engine.", MOS_KEY_SECRET, 0},
    {"users_dir", "path", "<data_dir>/users", nullptr, "Where the volumes lie.", 0, 0},
};

constexpr mos_config_key kEdge[] = {
    {"listen", "listen", "127.0.0.1:9000", nullptr, "Where browsers connect.", 0, 0},
    {"trusted", "list", "", nullptr, "Peers whose forwarded headers count.", MOS_KEY_LIVE, 0},
    {"visits", "rate", "600/1m", nullptr, "Visits of one peer.", MOS_KEY_LIVE, 0},
    {"tunnel", "bool", "false", nullptr, "Opens a tunnel from the internet.", MOS_KEY_PUBLIC, 0},
};

constexpr mos_config_key kSignup[] = {
    {"secret", "string", nullptr, nullptr, "Key of the webhook's signature.", MOS_KEY_SECRET | MOS_KEY_REQUIRED, 0},
    {"queue", "int", "100", "1..", "Sign-ups that may wait.", 0, 0},
};

} // namespace

std::filesystem::path TempDir::write(const std::string &name, std::string_view text) const {
  const std::filesystem::path file = path() / name;
  matrixos::test::writeFile(file, std::string(text));
  ::chmod(file.c_str(), 0600);
  return file;
}

Schema sampleSchema() {
  Schema schema = coreSchema();
  schema.addPlugin("engine", "Runs instances.", kEngine);
  schema.addPlugin("edge", "Takes requests.", kEdge);
  schema.addPlugin("signup", "Takes sign-ups.", kSignup);
  return schema;
}

ConfigPtr configOf(std::string_view text, const std::vector<std::string> &sets,
                   const std::vector<std::string> &environment) {
  const TempDir dir;
  LoadOptions options;
  options.file = dir.write(text.starts_with('<') ? "x.xml" : "x.ini", text).filename();
  options.workingDirectory = dir.path();
  options.sets = {"plugins.enabled=engine, edge"};
  options.sets.insert(options.sets.end(), sets.begin(), sets.end());
  options.environment = environment;
  return validate(load(options), sampleSchema());
}

std::vector<std::string> problemsOf(std::string_view text, const std::vector<std::string> &sets,
                                    const std::vector<std::string> &environment) {
  try {
    configOf(text, sets, environment);
    return {};
  } catch (const ConfigError &e) {
    return e.problems();
  }
}

} // namespace matrixos::config::test
