-- Entries of sign-ins and sign-outs go earlier than those of changes.
CREATE INDEX audit_of_sign_ins ON audit (created_us) WHERE action IN ('SignIn', 'SignOut');
