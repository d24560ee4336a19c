#include "common/ServiceDescription.h"
#include "testhost/TestHost.h"

#include <matrixos/call.hpp>
#include <matrixos/testing/host.h>

#include <algorithm>
#include <cctype>

/// matrixos/testing/host.h over TestHost.
struct mos_test_host {
  matrixos::testhost::TestHost host;
};

namespace matrixos::testhost {

namespace {

std::string textOf(mos_str text) {
  return std::string(fromAbi(text));
}

std::string lowered(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

http::ClientRequest toRequest(const mos_test_request &from) {
  http::ClientRequest request;
  request.method = textOf(from.method);
  request.target = textOf(from.target);
  request.body = textOf(from.body);
  bool typed = request.body.empty();
  for (std::uint32_t i = 0; i < from.fields_count; ++i) {
    request.fields.push_back({textOf(from.fields[i].key), textOf(from.fields[i].value)});
    typed = typed || lowered(request.fields.back().name) == "content-type";
  }
  if (!typed) request.fields.push_back({"Content-Type", "application/json"});
  return request;
}

mos_status request(mos_test_host *test, const mos_test_request *from, void *ctx,
                   void (*answered)(void *, const mos_test_answer *), mos_error *error) {
  return guarded(error, [&] {
    const auto who = from->who == MOS_TEST_OPERATOR ? TestHost::Who::Operator : TestHost::Who::Anyone;
    http::ClientResponse response = test->host.request(who, toRequest(*from));
    std::vector<mos_pair> fields;
    for (http::ClientField &field : response.fields) {
      field.name = lowered(std::move(field.name));
      fields.push_back({toAbi(field.name), toAbi(field.value)});
    }
    const mos_test_answer answer{sizeof answer,
                                 static_cast<std::uint32_t>(response.status),
                                 fields.data(),
                                 static_cast<std::uint32_t>(fields.size()),
                                 0,
                                 toAbi(response.body)};
    answered(ctx, &answer);
  });
}

mos_status log(mos_test_host *test, void *ctx, void (*line)(void *, const mos_test_line *), mos_error *error) {
  return guarded(error, [&] {
    for (const LogCapture::Line &each : test->host.log()) {
      std::vector<mos_pair> fields;
      for (const auto &[name, value] : each.fields)
        fields.push_back({toAbi(name), toAbi(value)});
      const mos_test_line given{sizeof given,
                                each.level,
                                toAbi(each.logger),
                                toAbi(each.message),
                                fields.data(),
                                static_cast<std::uint32_t>(fields.size()),
                                0};
      line(ctx, &given);
    }
  });
}

std::string textFor(TestHost &host, std::uint32_t what, const std::string &argument) {
  switch (what) {
  case MOS_TEST_FOLDER:
    return host.folder().string();
  case MOS_TEST_METRICS:
    return host.metrics();
  case MOS_TEST_STATE:
    return host.stateOf(argument);
  case MOS_TEST_ROWS:
    return host.rows(argument);
  case MOS_TEST_FAULTS:
    return host.faults();
  default:
    throw Error(Status::Unimplemented, "this test host gives no such text");
  }
}

mos_testhost_v1 makeTable() {
  mos_testhost_v1 table{};
  table.struct_size = sizeof table;
  table.minor = MOS_TESTHOST_MINOR;
  table.make = [](mos_test_host **out, mos_error *error) { return guarded(error, [&] { *out = new mos_test_host; }); };
  table.destroy = [](mos_test_host *test) { delete test; };
  table.add_plugin = [](mos_test_host *test, mos_str file, mos_error *error) {
    return guarded(error, [&] { test->host.addPlugin(textOf(file)); });
  };
  table.set = [](mos_test_host *test, mos_str name, mos_str value, mos_error *error) {
    return guarded(error, [&] { test->host.set(textOf(name), textOf(value)); });
  };
  table.describe = [](mos_test_host *, const mos_service_v1 *service, mos_error *error) {
    return guarded(error,
                   [&] { common::ServiceCatalogue::instance().add(common::ServiceDescription::read(*service)); });
  };
  table.provide = [](mos_test_host *test, mos_str service, mos_str instance, std::uint32_t minor, const void *given,
                     mos_error *error) {
    return guarded(error, [&] { test->host.provide(textOf(service), textOf(instance), minor, given); });
  };
  table.withdraw = [](mos_test_host *test, mos_str service, mos_str instance, mos_error *error) {
    return guarded(error, [&] { test->host.withdraw(textOf(service), textOf(instance)); });
  };
  table.start = [](mos_test_host *test, mos_error *error) { return guarded(error, [&] { test->host.start(); }); };
  table.stop = [](mos_test_host *test, mos_error *error) { return guarded(error, [&] { test->host.stop(); }); };
  table.reconfigure = [](mos_test_host *test, mos_error *error) {
    return guarded(error, [&] { test->host.reconfigure(); });
  };
  table.request = request;
  table.acquire = [](mos_test_host *test, mos_str service, mos_str instance, const void **out, mos_error *error) {
    return guarded(error, [&] { *out = test->host.acquire(textOf(service), textOf(instance)); });
  };
  table.release = [](mos_test_host *test, const void *acquired, mos_error *error) {
    return guarded(error, [&] { test->host.release(acquired); });
  };
  table.advance = [](mos_test_host *test, std::int64_t milliseconds, mos_error *error) {
    return guarded(error, [&] { test->host.advance(std::chrono::milliseconds{milliseconds}); });
  };
  table.publish = [](mos_test_host *test, mos_str topic, mos_str json, mos_error *error) {
    return guarded(error, [&] { test->host.publish(fromAbi(topic), fromAbi(json)); });
  };
  table.events = [](mos_test_host *test, void *ctx, void (*event)(void *, mos_str, mos_str), mos_error *error) {
    return guarded(error, [&] {
      for (const auto &[topic, json] : test->host.events())
        event(ctx, toAbi(topic), toAbi(json));
    });
  };
  table.log = log;
  table.text = [](mos_test_host *test, std::uint32_t what, mos_str argument, mos_buf *out, mos_error *error) {
    return guarded(error, [&] { giveBuffer(out, textFor(test->host, what, textOf(argument))); });
  };
  return table;
}

} // namespace
} // namespace matrixos::testhost

extern "C" MOS_EXPORT const mos_testhost_v1 *mos_testhost_entry_v1(void) {
  static const mos_testhost_v1 table = matrixos::testhost::makeTable();
  return &table;
}
