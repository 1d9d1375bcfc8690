# Compiler flags: each is asked for only where the compiler knows it.

# SF_ADD_FLAG(VARIABLE, FLAG): appends FLAG to VARIABLE if the compiler takes it without a word.
AC_DEFUN([SF_ADD_FLAG], [
AS_VAR_PUSHDEF([sf_known], [sf_cv_flag_$2])
AC_CACHE_CHECK([whether $CC takes $2], [sf_known], [
  sf_saved_CFLAGS=$CFLAGS
  CFLAGS="$CFLAGS -Werror m4_bpatsubst([$2], [^-Wno-], [-W])"
  AC_COMPILE_IFELSE([AC_LANG_PROGRAM()], [AS_VAR_SET([sf_known], [yes])],
                    [AS_VAR_SET([sf_known], [no])])
  CFLAGS=$sf_saved_CFLAGS])
AS_VAR_IF([sf_known], [yes], [AS_VAR_APPEND([$1], [" $2"])])
AS_VAR_POPDEF([sf_known])
])

# SF_ADD_FLAGS(VARIABLE, FLAG FLAG ...)
AC_DEFUN([SF_ADD_FLAGS], [m4_foreach_w([sf_flag], [$2], [SF_ADD_FLAG([$1], sf_flag)])])

# SF_SANITIZERS: --enable-sanitizers[=LIST] sets SANITIZER_FLAGS, for compiling and linking.
AC_DEFUN([SF_SANITIZERS], [
AC_ARG_ENABLE([sanitizers],
  [AS_HELP_STRING([--enable-sanitizers@<:@=LIST@:>@],
                  [build with sanitizers (default: address,undefined; or thread)])],
  [], [enable_sanitizers=no])
AS_CASE([$enable_sanitizers], [yes], [enable_sanitizers=address,undefined],
        [*memory*], [AC_MSG_ERROR([the memory sanitizer needs all libraries built with it])])
SANITIZER_FLAGS=
AS_IF([test "x$enable_sanitizers" != xno], [
  SANITIZER_FLAGS="-fsanitize=$enable_sanitizers -fno-sanitize-recover=all -fno-omit-frame-pointer"
  AC_MSG_CHECKING([whether $CC builds with $SANITIZER_FLAGS])
  sf_saved_CFLAGS=$CFLAGS
  CFLAGS="$CFLAGS $SANITIZER_FLAGS"
  AC_LINK_IFELSE([AC_LANG_PROGRAM()], [AC_MSG_RESULT([yes])],
                 [AC_MSG_RESULT([no])
                  AC_MSG_ERROR([$CC can't build with --enable-sanitizers=$enable_sanitizers])])
  CFLAGS=$sf_saved_CFLAGS])
AC_SUBST([SANITIZER_FLAGS])
])
