# An editor for tests: replaces the first argument by the second in the file
# that comes last.
sed -i "s/$1/$2/" "$3"
