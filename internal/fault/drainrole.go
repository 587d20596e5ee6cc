package fault

// DrainRole is the role by which the vendor's cloud lets what drains nodes act
// for the account.
const DrainRole = "AliyunOOSLifecycleHook4CSRole"

// readRole is the permission that looking for the role needs.
const readRole = "ram:GetRole"

// DrainRoleOf tells what a look for the role came to: nil where it is there, a
// failure where it is not or where our key may not look, and the error where
// neither is known.
func DrainRoleOf(has bool, err error) (*Fault, error) {
	if err == nil && has {
		return nil, nil
	}
	if err == nil {
		return New(DrainRoleMissing, "the account has no role "+DrainRole), nil
	}
	told := Of(err)
	if told == nil || (told.Code != ForbiddenRAM && told.Code != NoPermission) {
		return nil, err
	}
	f := New(DrainRoleMissing, told.Message)
	f.Details = Details{DetailPermission: readRole}
	return f, nil
}

// What is known of the role where it does not help.
const (
	// DrainRoleNotThere is an account that has no such role.
	DrainRoleNotThere = "Missing"
	// DrainRoleNotRead is a key that may not look.
	DrainRoleNotRead = "Unread"
)

// DrainRoleState is what a failure says of the role: missing, or not read.
func DrainRoleState(f *Fault) string {
	if f.Details[DetailPermission] != "" {
		return DrainRoleNotRead
	}
	return DrainRoleNotThere
}

// DrainRoleCause says what a state means, and DrainRoleSolution the one thing
// that mends it.
func DrainRoleCause(state string) string {
	if state == DrainRoleNotRead {
		return "our key may not read roles, so it is not known whether what drains nodes has its role " + DrainRole
	}
	return "what drains nodes lacks its role " + DrainRole
}

// DrainRoleSolution is the one thing that mends what DrainRoleCause says.
func DrainRoleSolution(state string) string {
	if state == DrainRoleNotRead {
		return "give the key's RAM user AliyunRAMReadOnlyAccess, or " + readRole
	}
	return "grant the role with the account that owns it; in the local region: poolkeeper local role grant " + DrainRole +
		"; on the real cloud: https://ram.console.aliyun.com/roles"
}
