# TOWLINE_SANITIZE: "" | address | thread. Set by the presets `asan` and `tsan`.
set(TOWLINE_SANITIZE "" CACHE STRING "address (with undefined behaviour) or thread")
if(TOWLINE_SANITIZE STREQUAL "address")
  # CAF 0.17 binds a null reference in init_fun_factory.hpp, hence no `null`.
  add_compile_options(-fsanitize=address,undefined -fno-sanitize=null -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
elseif(TOWLINE_SANITIZE STREQUAL "thread")
  # Debian's CAF and gRPC are not instrumented: reports are true only for code that uses neither.
  add_compile_options(-fsanitize=thread -fno-omit-frame-pointer)
  add_link_options(-fsanitize=thread)
elseif(TOWLINE_SANITIZE)
  message(FATAL_ERROR "TOWLINE_SANITIZE must be empty, address or thread")
endif()
