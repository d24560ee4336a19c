# matrixos_add_plugin_test(NAME PLUGIN target SOURCES… [LIBS…])
#
# A test program for a plugin that matrixos_add_plugin() builds, on the test host (matrixos/testing.hpp), and a test of
# CTest that runs it. The program has PLUGIN, the path of the plugin's file, as a macro.
function(matrixos_add_plugin_test name)
  cmake_parse_arguments(arg "" "PLUGIN" "SOURCES;LIBS" ${ARGN})
  if(NOT TARGET matrixos::testing)
    message(FATAL_ERROR "matrixos_add_plugin_test: the test host is missing; find_package(matrixos-sdk COMPONENTS testing)")
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE matrixos::testing ${arg_LIBS})
  target_compile_definitions(${name} PRIVATE "PLUGIN=\"$<TARGET_FILE:${arg_PLUGIN}>\"")
  add_dependencies(${name} ${arg_PLUGIN})
  add_test(NAME ${name} COMMAND ${name})
endfunction()
