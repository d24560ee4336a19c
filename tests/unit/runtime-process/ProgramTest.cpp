#include "Program.h"

#include <doctest/doctest.h>

using namespace matrixos;
using namespace matrixos::processes;

namespace {

InstanceSpec spec() {
  return InstanceSpec::parse(R"({"name":"matrixos-alice","image":"demo","hostAliases":["proxy"],
      "env":{"MATRIX_HANDLE":"alice","PROXY_URL":"http://proxy:8080","PORT":"4000","SHELL_PORT":"3000",
             "OTHER":"http://proxyhost/ http://proxy/x http://proxy","HOME":"/home/matrixos/home"},
      "volumes":[{"volume":"/data/users/alice/matrixos","path":"/home/matrixos/home"}],
      "ports":[{"name":"gateway","containerPort":4000,"hostPort":4101},
               {"name":"shell","containerPort":3000,"hostPort":3101},
               {"name":"my-metrics","containerPort":9100,"hostPort":9101}]})");
}

} // namespace

TEST_CASE("runtime-process: the environment names home and host ports") {
  const auto env = environmentOf(spec());
  CHECK(env.at("MATRIX_HANDLE") == "alice");
  CHECK(env.at("PORT") == "4101");
  CHECK(env.at("SHELL_PORT") == "3101");
  CHECK(env.at("MY_METRICS_PORT") == "9101");
  CHECK(env.at("HOME") == "/data/users/alice/matrixos");
  CHECK(env.at("MATRIXOS_HOME") == "/data/users/alice/matrixos");
  CHECK(env.at("BIND") == "127.0.0.1");
  CHECK(env.at("PROXY_URL") == "http://127.0.0.1:8080");
  CHECK(env.at("OTHER") == "http://proxyhost/ http://127.0.0.1/x http://127.0.0.1");
  CHECK(env.count("PATH") == 1);
  CHECK(env.size() == 11);
}

TEST_CASE("runtime-process: without host ports the spec's own stand") {
  InstanceSpec plain = spec();
  plain.ports.clear();
  plain.volumes.clear();
  CHECK(environmentOf(plain).at("PORT") == "4000");
  CHECK(homeOf(plain) == "/");
}

TEST_CASE("runtime-process: the spec's command wins where it may") {
  Settings settings;
  settings.command = "exec demo";
  InstanceSpec wanted = spec();
  CHECK(commandOf(wanted, settings) == std::vector<std::string>{"/bin/sh", "-c", "exec demo"});
  wanted.command = {"run", "it"};
  CHECK(commandOf(wanted, settings) == std::vector<std::string>{"run", "it"});
  settings.allowSpecCommand = false;
  CHECK_THROWS_WITH_AS(commandOf(wanted, settings), doctest::Contains("allow_spec_command"), Error);
}

TEST_CASE("runtime-process: the program of a shell text, where that is plain") {
  CHECK(firstProgram("exec /opt/demo --port $PORT") == "/opt/demo");
  CHECK(firstProgram("demo") == "demo");
  CHECK(firstProgram("exec \"/a folder/demo\" x") == "/a folder/demo");
  CHECK(firstProgram("\"$HOME/demo\"").empty());
  CHECK(firstProgram("$HOME/run").empty());
  CHECK(firstProgram("A=1 demo").empty());
  CHECK(firstProgram("(demo)").empty());
}
